"""A server, vLLM or the gateway, as a process under its guard, with the log that tells how it
ended."""

import re
import signal
import threading
from pathlib import Path

from llmops.engines.contract import Command
from llmops.errors import Failed
from llmops.runner.process import Process, last_lines, start, tail
from llmops.serving.listen import Place
from llmops.spec.source import display

KILL_SECONDS = 10.0
_ERROR = re.compile(
    r"(?:^|[\]\s])(?P<kind>[A-Za-z_.]*(?:Error|Exception)): (?P<what>.+)|: error: (?P<usage>.+)$"
)
_WRAPPERS = ("Engine core initialization failed", "root cause", "WorkerProc initialization failed")


class ServerProcess:
    """log: of all starts; root: the working directory."""

    def __init__(self, place: Place, log: Path, root: Path) -> None:
        self._place = place
        self._log = log
        self._root = root
        self._process: Process | None = None
        self._shutting = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Of its process group, while it runs."""
        return self._process.pid if self._process is not None and self.alive() else None

    def start(self, command: Command) -> None:
        if self._place.uds is not None:
            self._place.uds.unlink(missing_ok=True)
        self._process = start(command.argv, env=command.env, log=self._log, cwd=self._root)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float) -> int | None:
        """Its exit code, if it ends within so long."""
        assert self._process is not None, "the server was not started"
        return self._process.wait(seconds)

    def stop(self) -> None:
        """End it, if it was started. Any thread may call this, also while another one waits."""
        with self._shutting:
            if self._process is not None and self._process.lifeline >= 0:
                self._process.stop()
                if self._place.uds is not None:
                    self._place.uds.unlink(missing_ok=True)

    def kill(self) -> None:
        """End one that does not listen to anybody."""
        if self._process is not None and self.alive():
            self._process.send(signal.SIGTERM)
            self._process.send(signal.SIGTERM)  # the second one makes its guard kill everything
            self._process.wait(KILL_SECONDS)

    def ended(self, what: str) -> Failed:
        """What it ended with, and why, as far as its log tells."""
        code, why = self.wait(0), cause(self._log)
        return Failed(
            f"{what} with exit code {code}" + (f": {why}" if why else ""),
            where=display(self._log),
            fix="the log ends with:\n" + tail(self._log),
        )

    def failed(self, what: str) -> Failed:
        """As `ended`, of one that lives."""
        return Failed(what, where=display(self._log), fix=tail(self._log))


def cause(log: Path) -> str:
    """The error that a log ends in, without those that only wrap it; empty when none is found."""
    found = ""
    for line in last_lines(log):
        match = _ERROR.search(line)
        if match and not any(wrapper in line for wrapper in _WRAPPERS):
            found = match["usage"] or f"{match['kind']}: {match['what']}"
    return found
