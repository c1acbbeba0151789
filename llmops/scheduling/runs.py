"""Asking for runs, stopping them, going on with them: what the API and the CLI call.

A run that was begun at a terminal is stopped and gone on with as any other; it gets a job then.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from llmops.errors import BadInput
from llmops.runner.devices import declared_devices
from llmops.runner.graph import build_graph
from llmops.runner.record import RunRecord, find_run, read_run, utc_now
from llmops.runner.resume import GOES_ON
from llmops.runner.run_log import run_lock
from llmops.runner.scope import EVERYTHING, Scope
from llmops.scheduling import jobs
from llmops.scheduling.clock import millis
from llmops.scheduling.holder import forgive, read_holder
from llmops.scheduling.jobs import Job
from llmops.scheduling.queue import Queue, Standing
from llmops.scheduling.settle import settled
from llmops.spec.settings import Settings, load_settings
from llmops.stages.catalog import KINDS
from llmops.store.atomic import write_json
from llmops.store.database import open_database, reading, writing
from llmops.store.liveness import terminate
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    import sqlalchemy as sa


Then = Callable[["sa.Connection", str], None]
"""What is done in the same transaction, with the job's id."""


@dataclass(frozen=True)
class Request:
    """What is asked for. target: a recipe or a pipeline, relative to the project; by: who asks
    (cli:USER, api:KEY, schedule:TRIGGER); approval: a person must agree before it starts."""

    target: str
    overrides: Sequence[str] = ()
    scope: Scope = EVERYTHING
    by: str = ""
    trigger: str | None = None
    correlation: str = ""
    approval: bool = False


@dataclass(frozen=True)
class Runs:
    """The runs of one project and their queue."""

    settings: Settings
    database: "sa.Engine"

    @property
    def paths(self) -> ProjectPaths:
        return ProjectPaths(self.settings.root)

    def submit(
        self,
        request: Request,
        *,
        now: float | None = None,
        then: Then | None = None,
    ) -> Job:
        """Ask for a run; it starts when its turn comes. Raises BadInput for a declaration that
        cannot be read, or lies elsewhere."""
        root = self.settings.root
        path = (root / request.target).resolve()
        if not path.is_relative_to(root):
            raise BadInput(f"`{request.target}` is not in this project", where=str(root))
        graph = build_graph(path, request.overrides, root=root, kinds=KINDS, scope=request.scope)
        with writing(self.database) as connection:
            job = jobs.enqueue(
                connection,
                paths=self.paths,
                target=str(path.relative_to(root)),
                overrides=request.overrides,
                scope=request.scope,
                by=request.by,
                now=time.time() if now is None else now,
                name=graph.name,
                trigger=request.trigger,
                correlation=request.correlation,
                approval=request.approval,
                devices=declared_devices(graph),
            )
            if then is not None:
                then(connection, job)
            return _there(connection, job)

    def job(self, run: str) -> Job | None:
        """The job of a run; None for one that was begun at a terminal."""
        with reading(self.database) as connection:
            return jobs.find(connection, run)

    def named(self, run: str) -> str:
        """The id of a run or a job; `last`: of the newest one. Raises NotFound when there is
        none."""
        names = os.listdir(self.paths.runs) if self.paths.runs.is_dir() else []
        for name in sorted(names, reverse=True) if run == "last" else [run]:
            if read_run(self.paths.run(name)) is not None or self.job(name) is not None:
                return name
        return find_run(self.paths, run).id  # tells what there is

    def unbegun(self) -> list[Job]:
        """Jobs whose run has no record: those whose turn has yet to come, and those that ended
        before it did."""
        with reading(self.database) as connection:
            found = jobs.in_order(connection, (*jobs.ACTIVE, *jobs.ENDED))
        return [job for job in found if not self.paths.run(job.id).record.exists()]

    def standing(self, run: str) -> Standing | None:
        """Of a run with a job, in the queue or ended; None for any other."""
        found = Queue(self.paths).standing(self.database, run)
        if found is None and (job := self.job(run)) is not None:
            found = Standing(job)
        return found

    def stop(self, run: str, by: str) -> str:
        """Let it end: what has not begun is cancelled, what runs is asked to end and does so in
        order, in its own time. What was done, in a word: cancelled, interrupted or stopping.

        Raises BadInput when there is nothing to stop.
        """
        while True:
            job = self.job(run)
            if job is None or job.state in jobs.ENDED:
                return self._stop_process(run, by, job)
            wish = {"by": by, "time": utc_now(), "host": socket.gethostname()}
            write_json(self.paths.run(run).stop, wish)
            if job.state in jobs.RUNS:
                self._signal(run)
                return "stopping"
            if (state := self._withdraw(job, by)) is not None:
                return state

    def _withdraw(self, job: Job, by: str) -> str | None:
        """End a job that no process is at; None when one is by now."""
        begun = job.resume or job.state == "waiting"
        state = "interrupted" if begun else "cancelled"
        values = {"ended": millis(time.time()), "look_at": None, "error": f"stopped by {by}"}
        with writing(self.database) as connection:
            if not jobs.change(connection, job, state=state, **values):
                return None
        with run_lock(self.paths, job.id):
            record = read_run(self.paths.run(job.id))
            if record is not None and record.state == "waiting":
                changed = record.model_copy(update={"state": state, "ended": utc_now()})
                write_json(self.paths.run(job.id).record, changed.model_dump())
        return state

    def _stop_process(self, run: str, by: str, job: Job | None) -> str:
        """Stop what runs at a terminal."""
        record = read_run(self.paths.run(run))
        if record is None and job is None:
            raise jobs.unknown(run)
        if record is None or record.state != "running":
            state = record.state if record is not None else job.state if job else ""
            raise BadInput(f"run {run} is {state}", fix="only what runs or waits is stopped")
        if not record.is_here:
            fix = f"`llmops runs stop {run}` there"
            raise BadInput(f"run {run} runs at a terminal of the host {record.host}", fix=fix)
        terminate(record.pid, record.process_started)
        return "stopping"

    def _signal(self, run: str) -> None:
        """A process that has yet to take the job, or is on another host, finds the wish itself."""
        holder = read_holder(self.paths.run(run))
        if holder is not None and holder.ended is None:
            terminate(holder.pid, holder.process_started)

    def resume(
        self, run: str, by: str, *, now: float | None = None, then: Then | None = None
    ) -> Job:
        """Go on with a run, by its id; it is queued. Raises BadInput when it cannot go on."""
        now = time.time() if now is None else now
        begun_here = self._row_of(run, by)  # reads declarations, which holds others up
        with writing(self.database) as connection:
            job, goes_on = self._seen(connection, run, now)
            record = read_run(self.paths.run(run))
            if not goes_on:
                _check(run, job, record)
            self.paths.run(run).stop.unlink(missing_ok=True)
            forgive(self.paths.run(run))
            if job is not None:
                again = {"state": "queued", "resume": record is not None, "ended": None}
                jobs.change(connection, job, **again, look_at=None, error=None)
            else:
                assert begun_here is not None
                jobs.insert(connection, run, begun_here, now)
            if then is not None:
                then(connection, run)
            return _there(connection, run)

    def _seen(self, connection: "sa.Connection", run: str, now: float) -> tuple[Job | None, bool]:
        """The job of a run as its files tell, and whether it goes on by itself: its process may
        have died where no scheduler saw it."""
        job = jobs.find(connection, run)
        told = settled(job, self.paths, now) if job is not None and job.state in jobs.RUNS else None
        if job is None or told is None:
            return job, False
        jobs.change(connection, job, **told)
        return jobs.find(connection, run), told["state"] == "queued"

    def _row_of(self, run: str, by: str) -> dict[str, object] | None:
        """The job of a run that was begun at a terminal; None for any other."""
        record = read_run(self.paths.run(run))
        if record is None or record.state not in GOES_ON or self.job(run) is not None:
            return None
        root, file = self.settings.root, record.file or record.target
        graph = build_graph(
            root / file, record.overrides, root=root, kinds=KINDS, scope=record.scope
        )
        return {
            "state": "queued",
            "target": file,
            "overrides": record.overrides,
            **asdict(record.scope),
            "resume": True,
            "by": by,
            "correlation": record.correlation or record.id,
            "devices": declared_devices(graph),
        }


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[Runs]:
    """The runs of the project in the working directory, for a command."""
    settings = settings or load_settings()
    database = open_database(settings)
    try:
        yield Runs(settings, database)
    finally:
        database.dispose()


def _check(run: str, job: Job | None, record: RunRecord | None) -> None:
    """Raises BadInput unless the run can be gone on with now."""
    if job is None and record is None:
        raise jobs.unknown(run)
    if job is not None and job.state in (*jobs.ASKED, *jobs.RUNS):
        raise BadInput(f"run {run} is {job.state}")
    if record is not None and record.state not in GOES_ON:
        fix = f"`llmops run {record.target}` starts another"
        raise BadInput(f"run {run} is {record.state}", fix="" if record.state == "running" else fix)


def _there(connection: "sa.Connection", run: str) -> Job:
    job = jobs.find(connection, run)
    assert job is not None
    return job
