"""Whether a process that left a record still lives. A pid alone does not tell: it is given away
again, and a record may outlive its process by days."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

BEAT_SECONDS = 15.0
SILENT_SECONDS = 120.0
"""After so long without a sign of life a process on another host counts as dead."""


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


def lives(host: str, pid: int, started: str, file: Path) -> bool:
    """The same on any host: of what runs on another one, `file` tells, which it touches every
    BEAT_SECONDS. host: empty for this one."""
    if host in ("", socket.gethostname()):
        return is_alive(pid, started)
    return time.time() - last_sign(file) < SILENT_SECONDS


def last_sign(file: Path) -> float:
    """Seconds since 1970; 0 for one that never was."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def terminate(pid: int, started: str) -> None:
    """SIGTERM to the process that had the mark `started`, and to no other that got its number
    since."""
    with contextlib.suppress(ProcessLookupError):
        if not hasattr(os, "pidfd_open"):
            if is_alive(pid, started):
                os.kill(pid, signal.SIGTERM)
            return
        handle = os.pidfd_open(pid)
        try:
            if is_alive(pid, started):
                signal.pidfd_send_signal(handle, signal.SIGTERM)
        finally:
            os.close(handle)
