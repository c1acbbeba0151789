"""Runs one command so that nothing of it outlives its parent.

Started by path, in a session of its own: `PYTHON -S -E guard.py FD -- ARGV...`, where FD is the
read end of a pipe whose write end the parent alone holds. The command runs in the guard's process
group. When the pipe ends (the parent died, even by SIGKILL, or closed it), everything is asked to
stop, and after GRACE seconds made to. A byte on the pipe makes it stop at once: that, and not
SIGKILL to the group, is how to kill a command, for SIGKILL would take the guard along while
processes that left the group (torchrun's workers do) live on. SIGINT, SIGTERM and SIGHUP are for
the command; the guard outlives them.

With `--group` before the `--` that holds for the command's process group alone: what the command
starts in a session of its own is meant to outlive it, and is left alone.

Exits with the command's code, 128 + the signal that killed it, or 127 when it could not be
started; by then no descendant of the command is left. On Linux those are found whatever group or
session they moved to, by being adopted; elsewhere only while they stay in the group or below it.
Standard library only, and little of it: it starts with every stage.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence

GRACE = 10.0
"""Seconds between asking and forcing, after the parent is gone."""
LEFTOVER_GRACE = 3.0
"""The same for what the command leaves behind when it ends by itself."""

_OUTLIVED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def guarded(argv: Sequence[str], fd: int, *, group: bool = False) -> list[str]:
    """The command line that runs `argv` under a guard; `fd` must be passed on (`pass_fds`).
    group: only what stays in the command's process group ends with it."""
    guard = [sys.executable, "-S", "-E", os.path.abspath(__file__), str(fd)]
    return [*guard, *(["--group"] if group else []), "--", *argv]


class Guard:
    """One guarded command. pipe: the read end that the parent's life is seen by; group: only its
    process group is kept."""

    def __init__(self, pipe: int, group: bool = False) -> None:
        self._pipe = pipe
        self._group = group
        self._child = 0
        self._code: int | None = None
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._woken, False)
        # A handler, not SIG_IGN: the command would inherit the latter.
        for number in (*_OUTLIVED, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def run(self, argv: Sequence[str]) -> int:
        """Run to the end and return the exit code."""
        os.set_inheritable(self._pipe, False)
        if not self._group:
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._start(argv)
        while self._code is None:
            if self._pause(None, watch=True):
                self._end(0.0 if os.read(self._pipe, 1) else GRACE)
            self._reap()
        self._end(LEFTOVER_GRACE)
        return self._code

    def _start(self, argv: Sequence[str]) -> None:
        guard = os.getpid()
        self._child = os.fork()
        if self._child:
            return
        try:
            signal.set_wakeup_fd(-1)
            for number in (*_OUTLIVED, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != guard:
                os._exit(127)
            os.execvp(argv[0], list(argv))
        except OSError as error:
            os.write(2, f"error: {argv[0]} cannot be started: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    def _pause(self, seconds: float | None, *, watch: bool = False) -> bool:
        """Sleep until a signal comes or the time is over; True when the pipe has something."""
        ready, _, _ = select.select([self._woken] + [self._pipe] * watch, [], [], seconds)
        if self._woken in ready:
            os.read(self._woken, 4096)
        return self._pipe in ready

    def _reap(self) -> None:
        """Collect all that ended, adopted processes included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code

    def _end(self, grace: float) -> None:
        """Ask everything that is left to stop, wait, then kill until nothing is left."""
        if grace and self._signal_all(signal.SIGTERM):
            deadline = time.monotonic() + grace
            while _others(self._group) and (left := deadline - time.monotonic()) > 0:
                # What is no child of this process ends without a signal to it: look now and then.
                self._pause(min(left, 0.05))
                self._reap()
        while self._signal_all(signal.SIGKILL):
            self._pause(0.01)
        self._reap()

    def _signal_all(self, number: signal.Signals) -> bool:
        """Signal everything that is left; False when nothing is."""
        self._reap()
        found = _others(self._group)
        for pid in found:
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                continue
        return bool(found)


def descendants(root: int) -> set[int]:
    """Living processes below `root`, and itself."""
    table = [row for row in _processes() if row[3] not in "ZX"]
    found = {root}
    while not (below := {pid for pid, parent, _, _ in table if parent in found}) <= found:
        found |= below
    return found


def _others(only_group: bool) -> list[int]:
    """Living processes of this group, and this process's descendants wherever they went."""
    me, group = os.getpid(), os.getpgrp()
    mine = {me} if only_group else descendants(me)
    found = {pid for pid, _, pgid, state in _processes() if pgid == group and state not in "ZX"}
    return sorted((found | mine) - {me})


def _processes() -> Iterator[tuple[int, int, int, str]]:
    """pid, parent, group and state of every process."""
    if not os.path.exists("/proc/self/stat"):
        with os.popen("ps -A -o pid=,ppid=,pgid=,stat=") as listing:
            for row in map(str.split, listing):
                yield int(row[0]), int(row[1]), int(row[2]), row[3][0]
        return
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    # The name, in parentheses, may hold anything: count from its end.
                    state, parent, group = file.read().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield int(name), int(parent), int(group), state


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere there is nothing like it, and nothing is done."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main() -> None:
    group = sys.argv[2:3] == ["--group"]
    given = sys.argv[1:2] + sys.argv[2 + group :]
    if len(given) < 3 or given[1] != "--" or not given[0].isdigit():
        sys.exit("usage: guard.py FD [--group] -- ARGV...")
    if os.getpgrp() != os.getpid():
        os.setsid()  # the group is what gets killed: it must not be anyone else's
    sys.exit(Guard(int(given[0]), group).run(given[2:]))


if __name__ == "__main__":
    main()
