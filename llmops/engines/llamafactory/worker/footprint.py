"""How much of the machine's memory a training takes: this process, those that it was started with
by torchrun, and those that load its data.

Imported by observer.py; standard library only, and Linux only: elsewhere nothing is known.
"""

import os
import time

EVERY = 10.0
"""Seconds between two looks at other processes: to find them all of the machine's are read, and of
each the kernel walks all pages."""


class Footprint:
    """The most so far, in bytes. root: the process whose descendants all count (default: torchrun,
    or this process where there is none)."""

    def __init__(self, root: int | None = None) -> None:
        started = os.getppid() if "LOCAL_RANK" in os.environ else os.getpid()
        self._root = started if root is None else root
        self._most = 0
        self._next = 0.0

    def look(self) -> int:
        """The kernel keeps the peak of a single process. Of several it is what they took when they
        were looked at, what they share by shares; or the peak of this one, if that is more."""
        self._most = max(self._most, self._shares(), _bytes("/proc/self/status", "VmHWM:"))
        return self._most

    def _shares(self) -> int:
        """Of all processes; 0 when there is but one, or it is too early to look again."""
        now = time.monotonic()
        if now < self._next:
            return 0
        self._next = now + EVERY
        found = below(self._root)
        if len(found) == 1:
            return 0
        return sum(_bytes(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in found)


def below(root: int) -> set[int]:
    """`root` and its descendants."""
    parents = {int(name): _parent(name) for name in _listed("/proc") if name.isdigit()}
    found = {root}
    while not (more := {pid for pid, parent in parents.items() if parent in found}) <= found:
        found |= more
    return found


def _listed(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])  # the name may hold anything
    except (OSError, IndexError):
        return 0


def _bytes(path: str, name: str) -> int:
    """0 of a process that has ended, or is another user's."""
    try:
        with open(path, encoding="utf-8") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith(name)), 0)
    except OSError:
        return 0
