"""One engine process: started under the guard, followed, and never left behind.

The process group is a session of its own, so a terminal's Ctrl-C reaches llmops alone, which
passes it on to the whole group; and when llmops dies, even by SIGKILL, the guard ends the group.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmops.runner.guard import GRACE, guarded
from llmops.store.signals import endings, handling

POLL_SECONDS = 0.1
TAIL_BYTES = 256_000


@dataclass
class Process:
    """A running command under its guard. `send` may be called from a signal handler.

    pid: of the process group, which the guard leads. lifeline: the pipe's write end, which this
    process alone holds; -1 once it is closed.
    """

    popen: "subprocess.Popen[bytes]"
    lifeline: int
    signalled: int | None = None
    deadline: float | None = None

    @property
    def pid(self) -> int:
        return self.popen.pid

    def send(self, number: int, grace: float = GRACE) -> None:
        """Pass a signal on to the whole group; a second one kills everything, and so does `poll`
        once `grace` seconds are over."""
        again = self.signalled is not None
        self.signalled = number
        self.deadline = time.monotonic() + grace
        if again:
            self.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def poll(self) -> int | None:
        """The exit code once it has ended; 128 + N when signal N killed it, or its guard, with
        which it dies."""
        code = self.popen.poll()
        if code is None and self.deadline is not None and time.monotonic() > self.deadline:
            self.deadline = None
            self.kill()
        return code if code is None or code >= 0 else 128 - code

    def wait(self, seconds: float) -> int | None:
        """As `poll`, but waits so long for the end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        return self.poll()

    def stop(self) -> None:
        """End all of it: asked first, made to after the guard's grace. Returns when it is gone."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1
        self.popen.wait()

    def kill(self) -> None:
        """The guard kills everything, at once: a SIGKILL to the group would take the guard along,
        and leave what moved to a group of its own (torchrun's workers)."""
        with contextlib.suppress(OSError):
            os.write(self.lifeline, b"k")


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path,
    group: bool = False,
) -> Process:
    """Start `argv` in a group of its own. env: additions to this process's environment; group: what
    it starts in other sessions is left alone when it ends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    read, write = os.pipe()
    try:
        with log.open("ab") as output:
            popen = subprocess.Popen(
                guarded(argv, read, group=group),
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
    tick: Callable[[Process], None],
) -> tuple[int, int | None]:
    """Run to the end, calling `tick` as it goes. The exit code, and the signal that the user sent,
    if any."""
    process = start(argv, env=env, log=log, cwd=cwd)
    try:
        with passing_signals(process):
            while (code := process.poll()) is None:
                tick(process)
                process.wait(POLL_SECONDS)
            tick(process)
        return code, process.signalled
    finally:
        process.stop()


@contextmanager
def passing_signals(process: Process) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM go to the process's group instead of to this one; that
    the terminal was closed is told as SIGTERM, on which an engine may save what it has."""

    def forward(number: int, _frame: object) -> None:
        process.send(signal.SIGTERM if number == signal.SIGHUP else number)

    with handling(forward, signal.SIGINT, *endings()):
        yield


def interpreter(*args: str) -> list[str]:
    """A module of this installation, as a command; -P: no file of the project is taken for it."""
    return [sys.executable, "-P", "-m", *args]


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log; progress bars are reduced to their last state."""
    return "\n".join(last_lines(log)[-lines:])


def last_lines(log: Path) -> list[str]:
    """The lines of a log's last 256 kB that hold something; none when it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    kept = (line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n"))
    return [line for line in kept if line]
