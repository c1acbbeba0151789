"""Waiting for processes that are no children of the test: their end is an event (pidfd), which
also comes for a process that nobody collects."""

import os
import select
import time
from collections.abc import Iterable


def end_of(pids: Iterable[int], timeout: float = 30.0) -> list[int]:
    """Wait until the processes have ended; those that have not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    return [pid for pid in pids if not _ended(pid, deadline)]


def _ended(pid: int, deadline: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        return bool(ready)
    finally:
        os.close(handle)
