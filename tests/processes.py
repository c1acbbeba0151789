"""Waiting for processes that are no children of the test: their end is an event (pidfd), which
also comes for a process that nobody collects."""

import contextlib
import os
import select
import time
from collections.abc import Iterable
from pathlib import Path


def end_of(pids: Iterable[int], timeout: float = 30.0) -> list[int]:
    """Wait until the processes have ended; those that have not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    return [pid for pid in pids if not _ended(pid, deadline)]


def members(group: int) -> list[int]:
    """The processes of a group that are there now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(folder.name)) == group:
                found.append(int(folder.name))
    return found


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
