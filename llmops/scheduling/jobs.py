"""The queue: a row for each run that was asked for (store/tables.py: jobs).

The files of a run are the truth about it; a job says what was asked, whose turn it is, and who
carries it out. Whatever changes a job names the state and the try that it saw, so of several
processes that do one comes first. Does not start anything: dispatch.py.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from llmops.errors import NotFound
from llmops.runner.run_log import reserve_run
from llmops.runner.scope import EVERYTHING, Scope
from llmops.scheduling.clock import millis
from llmops.store.paths import ProjectPaths
from llmops.store.tables import jobs

ASKED = ("approval", "queued")
"""States of a job that nothing was started for yet."""
RUNS = ("starting", "running")
ACTIVE = (*ASKED, *RUNS, "waiting")
ENDED = ("done", "failed", "refused", "interrupted", "died", "cancelled")


@dataclass(frozen=True)
class Job:
    """A row of the table `jobs`; times are milliseconds since 1970 (UTC)."""

    id: str
    created: int
    state: str
    target: str
    overrides: list[str]
    force: bool
    resume: bool
    by: str
    trigger: str | None
    correlation: str
    devices: int
    device_seconds: float
    tries: int
    host: str | None
    pid: int | None
    lease_until: int | None
    started: int | None
    ended: int | None
    look_at: int | None
    error: str | None
    begin: str | None = None
    until: str | None = None
    gpus: str | None = None

    @property
    def scope(self) -> Scope:
        return Scope(self.force, self.begin, self.until)


def enqueue(
    connection: sa.Connection,
    *,
    paths: ProjectPaths,
    target: str,
    overrides: Sequence[str] = (),
    scope: Scope = EVERYTHING,
    by: str,
    now: float,
    name: str = "",
    trigger: str | None = None,
    correlation: str = "",
    approval: bool = False,
    devices: int = 1,
) -> str:
    """Ask for a run, in the caller's transaction; the job's id, and the run's.

    target: relative to the project; name: the pipeline's, for the id (default: the file's); now:
    seconds; approval: a person must agree first. The id is taken by making the run's directory:
    when the transaction fails, an empty one stays, which is no run.
    """
    while True:
        job = reserve_run(paths, name or Path(target).stem).root.name
        if connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job)).first() is None:
            break
    row = {
        "state": "approval" if approval else "queued",
        "target": target,
        "overrides": list(overrides),
        **asdict(scope),
        "resume": False,
        "by": by,
        "trigger": trigger,
        "correlation": correlation or job,
        "devices": devices,
    }
    insert(connection, job, row, now)
    return job


def insert(connection: sa.Connection, job: str, row: dict[str, Any], now: float) -> None:
    """A job that nothing was started for yet."""
    fresh = {"id": job, "created": millis(now), "device_seconds": 0.0, "tries": 0}
    connection.execute(jobs.insert().values(**_stored({**fresh, **row})))


def find(connection: sa.Connection, job: str) -> Job | None:
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job)).mappings().first()
    return None if row is None else _job(row)


def in_order(connection: sa.Connection, states: Sequence[str] = ACTIVE) -> list[Job]:
    """The jobs in these states, in the order in which they were asked for."""
    # Of one millisecond, the earlier second of the id comes first, then the shorter name: NAME,
    # NAME-2, ... NAME-10.
    second = sa.func.substr(jobs.c.id, 1, len("20261120-193000"))
    order = (jobs.c.created, second, sa.func.length(jobs.c.id), jobs.c.id)
    query = sa.select(jobs).where(jobs.c.state.in_(states)).order_by(*order)
    return [_job(row) for row in connection.execute(query).mappings()]


def newest(
    connection: sa.Connection, limit: int, *, before: tuple[int, str] | None = None, **where: str
) -> list[Job]:
    """Jobs, the newest first. before: (created, id) of the last one that is known; where: columns
    and what they are, such as state="failed"."""
    query = sa.select(jobs).order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(limit)
    for column, value in where.items():
        query = query.where(jobs.c[column] == value)
    if before is not None:
        query = query.where(sa.tuple_(jobs.c.created, jobs.c.id) < sa.tuple_(*before))
    return [_job(row) for row in connection.execute(query).mappings()]


def change(connection: sa.Connection, job: Job, **values: Any) -> bool:
    """Change a job that still is as it was seen. False when another changed it meanwhile."""
    seen = (jobs.c.id == job.id, jobs.c.state == job.state, jobs.c.tries == job.tries)
    done = connection.execute(jobs.update().where(*seen).values(**_stored(values)))
    return done.rowcount == 1


def unknown(job: str) -> NotFound:
    return NotFound(f"no run `{job}`", fix="llmops runs list")


def _job(row: Any) -> Job:
    values = {field.name: row[field.name] for field in fields(Job)}
    return Job(**{**values, "overrides": json.loads(row["overrides"])})


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    if "overrides" not in values:
        return values
    return {**values, "overrides": json.dumps(values["overrides"], ensure_ascii=False)}
