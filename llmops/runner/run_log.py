"""Keeping the record of a run: begun once, gone on with, changed by its process alone. How it lies
on disk is said in record.py."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from llmops.errors import BadInput
from llmops.runner.record import Alarmed, RunRecord, StageRecord, State, utc_now
from llmops.runner.scope import EVERYTHING, Scope
from llmops.store import logs
from llmops.store.atomic import append_line, write_json
from llmops.store.liveness import BEAT_SECONDS, process_mark
from llmops.store.paths import ProjectPaths
from llmops.store.run_paths import RunPaths

if TYPE_CHECKING:
    from llmops.runner.alarm import Alarm


@dataclass(frozen=True)
class Asked:
    """As what a run is begun. run: the id that is reserved for it, by its directory (None: a new
    one); by, correlation: as in RunRecord."""

    by: str = ""
    correlation: str = ""
    run: str | None = None


@dataclass
class RunLog:
    """The record of the run in hand, on disk with each change."""

    paths: RunPaths
    record: RunRecord
    _clocks: dict[str, float] = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        project: ProjectPaths,
        name: str,
        target: str,
        overrides: list[str],
        stages: list[StageRecord],
        *,
        file: str = "",
        scope: Scope = EVERYTHING,
        gpus: Sequence[str] = (),
        asked: Asked | None = None,
    ) -> "RunLog":
        """A new run. name: of the target, for the run's id; the rest as in RunRecord.

        Raises BadInput when the run that was asked for has begun before.
        """
        asked = asked or Asked()
        paths = project.run(asked.run) if asked.run else reserve_run(project, name)
        record = RunRecord(
            id=paths.root.name,
            target=target,
            file=file,
            overrides=overrides,
            force=scope.force,
            begin=scope.begin,
            until=scope.until,
            started=utc_now(),
            **_this_process(),
            by=asked.by,
            correlation=asked.correlation or logs.current() or paths.root.name,
            gpus=list(gpus),
            stages=stages,
        )
        log = cls(paths, record)
        with run_lock(project, record.id):
            if paths.record.exists():
                fix = f"llmops runs show {record.id}"
                raise BadInput(f"run {record.id} has begun before", fix=fix)
            log._write()
        return log

    @classmethod
    def resume(cls, project: ProjectPaths, record: RunRecord, gpus: Sequence[str] = ()) -> "RunLog":
        """Go on with a run in this process; what was not done is still to come."""
        kept = ("done", "reused")
        stages = [
            stage
            if stage.state in kept
            else StageRecord(name=stage.name, kind=stage.kind, declared=stage.declared)
            for stage in record.stages
        ]
        fresh = {"state": "running", "ended": None, "gpus": list(gpus), "stages": stages}
        changed = {**_this_process(), **fresh}
        log = cls(project.run(record.id), record.model_copy(update=changed))
        log._write()
        return log

    def stage(self, name: str, state: State, **values: Any) -> None:
        """Change one stage's record; clocks start at `running` and stop at the next state."""
        if state == "running":
            self._clocks[name] = time.monotonic()
            values["started"] = utc_now()
        elif name in self._clocks:
            values["seconds"] = round(time.monotonic() - self._clocks[name], 2)
        # What was found again is found again after a crash, too: it can wait for the next change.
        self._change(name, {"state": state, **values}, durable=state != "reused")

    def alarm(self, name: str, alarm: "Alarm", reaction: str) -> None:
        """What was seen of one stage, and what is done about it."""
        told = Alarmed(**asdict(alarm), reaction=reaction, time=utc_now())
        seen = next(stage.alarms for stage in self.record.stages if stage.name == name)
        self._change(name, {"alarms": [*seen, told]})

    @contextlib.contextmanager
    def living(self) -> Iterator[None]:
        """Within the block the record's time of change tells other hosts that the run lives."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT_SECONDS):
                with contextlib.suppress(OSError):  # a share may be away for a moment
                    os.utime(self.paths.record)

        signs = threading.Thread(target=beat, name="the run's signs of life", daemon=True)
        signs.start()
        try:
            yield
        finally:
            over.set()
            signs.join()

    def end(self, state: State) -> None:
        self.record = self.record.model_copy(update={"state": state, "ended": utc_now()})
        self._write()

    def _change(self, name: str, values: dict[str, Any], *, durable: bool = True) -> None:
        """A line below the record."""
        stages = self.record.stages
        place = next(n for n, stage in enumerate(stages) if stage.name == name)
        stages[place] = stages[place].model_copy(update=values)
        append_line(self.paths.record, stages[place].model_dump_json(), durable=durable)

    def _write(self) -> None:
        write_json(self.paths.record, self.record.model_dump())


def _this_process() -> dict[str, Any]:
    """Who carries a run out, as its record says it."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "process_started": process_mark(pid)}


def run_lock(project: ProjectPaths, run: str) -> FileLock:
    """Held for the moment in which a process takes a run into its hands."""
    path = project.lock(f"run-{run}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def reserve_run(project: ProjectPaths, name: str) -> RunPaths:
    """A new run's directory, and so its id, that nobody else gets. name: of the target."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}"
    project.runs.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        paths = project.run(stem if number == 1 else f"{stem}-{number}")
        try:
            paths.root.mkdir()
        except FileExistsError:
            number += 1
        else:
            return paths
