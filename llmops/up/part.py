"""One part of what `llmops up` keeps running: what it is, and the life of its process.

`step` looks at it once and does what is due: start it once there is something to start, take note
of one that somebody else runs, start it again after a growing pause when it crashed, or was silent
for too long. An end in order (exit code 0) was somebody's wish, and holds until somebody starts it.
"""

import contextlib
import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llmops.runner.process import Process, last_lines, start
from llmops.spec.source import display
from llmops.store import logs
from llmops.up.backoff import Backoff

_DEFECT = re.compile(r"^[A-Za-z_.]*(Error|Exception): ")

State = Literal[
    "waiting", "starting", "ready", "silent", "restarting", "elsewhere", "stopping", "stopped"
]
Report = Callable[[str], None]

SILENT_SECONDS = 60.0
"""How long a part that lives may not answer before it is ended, and started again."""
LOG_BYTES = 20_000_000
LOOK_SECONDS = 5.0
"""Between two looks at a part that is well."""
WAITING_SECONDS = 1.0
"""Between two looks at what a part waits for, or at who else runs it."""


@dataclass(frozen=True)
class Part:
    """url: where it answers, as far as that is known; answers: how it does, in a word, or None
    when it does not; holder: the process id of one that lives; awaits: what must come before it
    can be started, or nothing; grace: seconds that it may take to end; group: whether what it
    starts in sessions of its own outlives it."""

    name: str
    argv: Sequence[str]
    log: Path
    url: Callable[[], str]
    answers: Callable[[], str | None]
    holder: Callable[[], int | None] = lambda: None
    awaits: Callable[[], str] = lambda: ""
    grace: float = 10.0
    group: bool = False


@dataclass
class Kept:
    """A part that is kept running. detail: what it waits for, or how it does; restarts: after
    crashes. clock: seconds that only grow."""

    part: Part
    root: Path
    report: Report
    clock: Callable[[], float] = time.monotonic
    state: State = "waiting"
    detail: str = ""
    url: str = ""
    restarts: int = 0
    _process: Process | None = None
    _backoff: Backoff = field(default_factory=Backoff)
    _crashed: bool = False
    _well_since: float | None = None
    _seen: float = 0.0
    _look_at: float = 0.0

    @property
    def pid(self) -> int | None:
        """Of its process group, while it is ours; of the process, when somebody else runs it."""
        if self.state == "elsewhere":
            return self.part.holder()
        return self._process.pid if self._process is not None else None

    @property
    def ours(self) -> bool:
        return self._process is not None

    def step(self) -> None:
        """Look at it, and do what is due."""
        now = self.clock()
        if self._process is not None:
            self._follow(self._process, now)
        elif now >= self._look_at:
            self._begin(now)

    def stop(self) -> None:
        """Ask it to end."""
        if self._process is None:
            self._to("stopped", "")
        elif self.state != "stopping":
            self._to("stopping", "")
            self._process.send(signal.SIGTERM, self.part.grace)

    def gone(self) -> bool:
        """Whether a part that was asked to end has."""
        if self._process is not None and self._process.poll() is not None:
            self._let_go()
            self._to("stopped", "")
        return self._process is None

    def kill(self) -> None:
        """End it now, and all that it started."""
        if self._process is not None:
            if self._process.signalled is None:
                self._process.send(signal.SIGTERM, self.part.grace)
            self._process.send(signal.SIGTERM)  # the second one makes its guard kill everything

    def _begin(self, now: float) -> None:
        self._look_at = now + WAITING_SECONDS
        held = self.part.holder()
        if held is not None:
            if self.state != "elsewhere":
                self.report(f"{self.part.name} runs already (process {held}); it is left to that")
            self._to("elsewhere", self.part.answers() or "")
            return
        if self.state == "stopped":
            return  # somebody's wish, until somebody starts it
        missing = self.part.awaits()
        if missing:
            self._to("waiting", missing)
            return
        self.restarts += self._crashed
        self._crashed = False
        _turn(self.part.log)
        self._process = start(
            self.part.argv, env={}, log=self.part.log, cwd=self.root, group=self.part.group
        )
        self._seen, self._well_since, self._look_at = now, None, now
        self._to("starting", "")

    def _follow(self, process: Process, now: float) -> None:
        code = process.poll()
        if code is not None:
            self._ended(code, now)
            return
        if now < self._look_at:
            return
        how = self.part.answers()
        if how is not None:
            self._seen = now
            self._well_since = self._well_since or now
            self._look_at = now + LOOK_SECONDS
            self._to("ready", "" if how == "ready" else how)
        elif self.state in ("ready", "silent"):
            self._silent(process, now)

    def _silent(self, process: Process, now: float) -> None:
        """It was well, and does not answer: it may be at work, or hang."""
        quiet = now - self._seen
        self._to("silent", f"for {quiet:.0f} s")
        if quiet > SILENT_SECONDS:
            self.report(f"{self.part.name} has not answered for {quiet:.0f} s; it is ended")
            self.kill()
            self._seen = now

    def _ended(self, code: int, now: float) -> None:
        healthy = 0.0 if self._well_since is None else self._seen - self._well_since
        self._let_go()
        said = f" ({display(self.part.log)})"
        if self.part.holder() is not None:
            self._begin(now)
        elif code == 0:
            self.report(f"{self.part.name} was stopped, and stays so{said}")
            self._to("stopped", "by somebody else")
        else:
            delay = self._backoff.delay(healthy)
            why = _last_error(self.part.log)
            self.report(
                f"{self.part.name} ended with exit code {code}{': ' + why if why else ''}; "
                f"starting it again in {delay:.0f} s{said}"
            )
            self._look_at, self._crashed = now + delay, True
            self._to("restarting", why)

    def _let_go(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _to(self, state: State, detail: str) -> None:
        if state != self.state or not self.url:
            self.url = self.part.url()
        if state == "ready" and self.state != "ready":
            self.report(f"{self.part.name} is ready at {self.url}")
        self.state, self.detail = state, detail


def _turn(log: Path) -> None:
    """One that has become long is kept beside the new one, as `.1`."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))


def _last_error(log: Path) -> str:
    """What the part said last of what is wrong, if it said so at the end of the log."""
    lines = last_lines(log)[-8:]
    defect = [line for line in lines[-1:] if _DEFECT.match(line)]
    return logs.last_error(lines) or "".join(defect)
