"""One engine process: started under the guard, followed, and never left behind.

The process group is a session of its own, so a terminal's Ctrl-C reaches llmops alone, which
passes it on to the whole group; and when llmops dies, even by SIGKILL, the guard ends the group.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
POLL_SECONDS = 0.1
GRACE_SECONDS = 10.0


@dataclass
class Process:
    """A running command. `stop` may be called from a signal handler."""

    popen: "subprocess.Popen[bytes]"
    lifeline: int
    signalled: int | None = None
    deadline: float | None = None

    def send(self, number: int) -> None:
        """Pass a signal on to the whole group; a second one kills it."""
        again = self.signalled is not None
        self.signalled = number
        self.deadline = time.monotonic() + GRACE_SECONDS
        self._group(signal.SIGKILL if again else number)

    def poll(self) -> int | None:
        """The exit code, once it has ended: 128 + N when signal N killed it."""
        code = self.popen.poll()
        if code is None and self.deadline is not None and time.monotonic() > self.deadline:
            self._group(signal.SIGKILL)
        return code if code is None or code >= 0 else 128 - code

    def close(self) -> None:
        """End whatever of the group is left, and let go of the lifeline."""
        if self.popen.poll() is None:
            self._group(signal.SIGKILL)
            self.popen.wait()
        self._group(signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.close(self.lifeline)

    def _group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)


def start(argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path) -> Process:
    """Start `argv` in a group of its own. env: additions to this process's environment."""
    log.parent.mkdir(parents=True, exist_ok=True)
    read, write = os.pipe()
    try:
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [sys.executable, "-S", "-E", str(GUARD), str(read), "--", *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **env},
                pass_fds=(read,),
                start_new_session=True,
            )
    except BaseException:
        os.close(write)
        raise
    finally:
        os.close(read)
    return Process(popen, write)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path,
    tick: Callable[[], None],
) -> tuple[int, int | None]:
    """Run to the end, calling `tick` as it goes. The exit code, and the signal that the user sent,
    if any."""
    process = start(argv, env=env, log=log, cwd=cwd)
    try:
        with passing_signals(process):
            while (code := process.poll()) is None:
                tick()
                _wait(process, POLL_SECONDS)
            tick()
        return code, process.signalled
    finally:
        process.close()


def _wait(process: Process, seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.popen.wait(seconds)


@contextmanager
def passing_signals(process: Process) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM go to the process's group instead of to this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, _frame: object) -> None:
        process.send(number)

    before = {n: signal.signal(n, forward) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log; progress bars are reduced to their last state."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 64_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    kept = [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines()]
    return "\n".join([line for line in kept if line][-lines:])
