"""Limits of a job, kept by looking at what its processes and its files take, every two seconds.

Where processes may not make cgroups, as in most containers, that is what is left: the kernel's own
limit of an address space would end CUDA, which reserves far more than it uses, its limit of
processes counts all that a user has, and its limit of a file counts none of the others. What grows
faster than it is looked at is past its limit for a moment.
"""

import os
import time
from pathlib import Path

from llmops.environments.machine import size_text
from llmops.runner.guard import descendants
from llmops.spec.grammar import size
from llmops.spec.recipe import Resources

SECONDS = 2.0


class Limits:
    """What a recipe allows. folder: what is in it counts as the job's disk."""

    def __init__(self, allowed: Resources, folder: Path) -> None:
        self._allowed = allowed
        self._folder = folder
        self._next = 0.0

    def broken(self, guard: int) -> str:
        """Which limit is, in words; empty when none is, or it is not yet time to look. guard: the
        process that leads the job's, which is not counted."""
        allowed, now = self._allowed, time.monotonic()
        if now < self._next or not (allowed.memory or allowed.disk or allowed.processes):
            return ""
        self._next = now + SECONDS
        pids = descendants(guard) - {guard}
        if allowed.processes and len(pids) > allowed.processes:
            return f"{len(pids)} processes, over `resources.processes: {allowed.processes}`"
        if allowed.memory and (used := sum(map(_memory, pids))) > size(allowed.memory):
            return f"{size_text(used)} of memory, over `resources.memory: {allowed.memory}`"
        if allowed.disk and (used := _disk(self._folder)) > size(allowed.disk):
            return f"{size_text(used)} on disk, over `resources.disk: {allowed.disk}`"
        return ""


def _memory(pid: int) -> int:
    """Bytes of memory of a process; what it shares with others counts by its share."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0  # it has ended
    return next((int(x.split()[1]) << 10 for x in rollup.splitlines() if x.startswith("Pss:")), 0)


def _disk(folder: Path) -> int:
    """Bytes of the files below it, links not followed."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(f"{place}/{name}").st_blocks * 512
            except OSError:
                continue  # it is gone
    return total
