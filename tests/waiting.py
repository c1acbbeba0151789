"""Waiting for what other processes come to, where nothing announces it: a state file, a metric, a
server's first answer. The end of a process is an event: see processes.py."""

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def until(
    what: Callable[[], T], seconds: float = 15.0, process: "subprocess.Popen[Any] | None" = None
) -> T:
    """The first true value of `what`. Fails after so many seconds, or when `process` has ended."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert process is None or process.poll() is None, "the process ended"
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)
    return found
