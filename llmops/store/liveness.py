"""Whether a process that left a record still lives. A pid alone does not tell: it is given away
again, and a record may outlive its process by days."""

import os
from pathlib import Path


def process_mark(pid: int) -> str:
    """When a process was started, in the kernel's terms; empty when there is none, or only what
    its parent has yet to collect."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "alive"


def is_alive(pid: int, started: str) -> bool:
    """Whether the process `pid` is the one that had the mark `started`."""
    return bool(started) and process_mark(pid) == started
