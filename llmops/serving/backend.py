"""A backend's processes: started under the guard, ended as a whole, and never left behind.

The guard (llmops/runner/guard.py) holds the read end of a pipe whose write end this process alone
has: closing it, or dying, even by SIGKILL, ends everything that the backend started.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmops.runner.guard import GRACE, guarded

_ERROR = re.compile(
    r"(?:^|[\]\s])(?P<kind>[A-Za-z_.]*(?:Error|Exception)): (?P<what>.+)|: error: (?P<usage>.+)$"
)
_WRAPPERS = ("Engine core initialization failed", "root cause", "WorkerProc initialization failed")
_TAIL_BYTES = 256_000


class Backend:
    """A running backend. pid: of its process group, which the guard leads."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], *, log: Path, cwd: Path
    ) -> None:
        """env: additions to this process's environment. log: what it prints is appended."""
        read, self._lifeline = os.pipe()
        try:
            with log.open("ab") as output:
                self._popen = subprocess.Popen(
                    guarded(argv, read),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env={**os.environ, **env},
                    pass_fds=(read,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(read)
        self._open = True

    @property
    def pid(self) -> int:
        return self._popen.pid

    def poll(self) -> int | None:
        """The exit code once it has ended, 128 + N when signal N killed it."""
        return self._popen.poll()

    def wait(self, seconds: float) -> int | None:
        """As `poll`, but waits that long for the end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._popen.wait(seconds)
        return None

    def stop(self) -> None:
        """End all of it: asked first, made to after the guard's grace. Returns when it is gone."""
        if self._open:
            self._open = False
            os.close(self._lifeline)
        if self.wait(GRACE + 5) is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    return "\n".join(_lines(log)[-lines:])


def cause(log: Path) -> str:
    """The error that a log ends in, without those that only wrap it; empty when none is found."""
    found = ""
    for line in _lines(log):
        match = _ERROR.search(line)
        if match and not any(wrapper in line for wrapper in _WRAPPERS):
            found = match["usage"] or f"{match['kind']}: {match['what']}"
    return found


def _lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in (raw.rstrip() for raw in text.splitlines()) if line]
