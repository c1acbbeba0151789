"""What a supervisor that was killed left behind is on its way out: its guards see to that."""

import os
import time
from collections.abc import Iterable


def await_gone(groups: Iterable[int]) -> None:
    """Wait until these process groups have ended, at most as long as their guards may take."""
    from llmops.runner.guard import GRACE

    deadline = time.monotonic() + GRACE + 2
    for group in groups:
        while _lives(group) and time.monotonic() < deadline:
            time.sleep(0.1)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
