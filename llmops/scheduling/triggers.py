"""Firing what is due: each time once, whichever of several schedulers gets there first.

A tick brings the rows in step with the files, then takes each trigger that is due. A firing, its
job and the trigger's next time are one transaction, and writers come one after the other
(store/database.py): a scheduler that is killed leaves all of it or nothing. `firings_once` keeps a
clock that steps back from firing twice. What is not started is recorded with its reason.
"""

import json
import os
import socket
import uuid

import sqlalchemy as sa

from llmops.scheduling.calendar import next_time
from llmops.scheduling.clock import Clock, millis
from llmops.scheduling.declared import Declarations
from llmops.scheduling.due import Fire, planned
from llmops.scheduling.halt import halted
from llmops.scheduling.limits import spent, still_running
from llmops.scheduling.sync import heal, seen_of, sync, trigger_of
from llmops.spec.settings import Settings
from llmops.spec.trigger import Limits
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import firings, triggers

LEASE = 60_000
"""ms for which one scheduler has a trigger to itself while it looks."""
STARTED, SKIPPED = "started", "skipped"


class Triggers:
    """The triggers of a project, as one scheduler sees them."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._paths = ProjectPaths(settings.root)
        self._clock = clock
        self._declarations = Declarations(settings)
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._last: int | None = None

    def tick(self, database: sa.Engine) -> list[str]:
        """Fire what is due; the jobs that this made. Raises Failed when the database is away."""
        now = millis(self._clock.now())
        sync(database, self._declarations.read(), now)
        if self._last is None or now < self._last:
            heal(database, now)
        self._last = now
        started: list[str] = []
        for id in self._due(database, now):
            with writing(database) as connection:
                started += self._take(connection, id, now)
        return started

    def close(self) -> None:
        """End what it has under way."""

    def _due(self, database: sa.Engine, now: int) -> list[str]:
        query = sa.select(triggers.c.id).where(triggers.c.next_at <= now)
        with reading(database) as connection:
            return list(connection.execute(query.order_by(triggers.c.next_at)).scalars())

    def _take(self, connection: sa.Connection, id: str, now: int) -> list[str]:
        """Deal with one that is due, unless another scheduler has; the jobs that this made."""
        row = connection.execute(sa.select(triggers).where(triggers.c.id == id)).mappings().one()
        if row["next_at"] is None or row["next_at"] > now:
            return []
        trigger = trigger_of(row)
        if row["gone"] is not None:
            _tell_gone(connection, row, now)
            _advance(connection, row, next_time(trigger, now, row["next_at"]))
            return []
        if trigger.kind == "feedback":
            return []
        fires, skips = planned(trigger, row["next_at"], now)
        for skip in skips:
            record(connection, id, skip.due, now, SKIPPED, skip.reason)
        jobs = [self._fire(connection, row, fire, now) for fire in fires]
        _advance(connection, row, next_time(trigger, now, row["next_at"]))
        return [job for job in jobs if job is not None]

    def _fire(
        self,
        connection: sa.Connection,
        row: sa.RowMapping,
        fire: Fire,
        now: int,
    ) -> str | None:
        if has_fired(connection, row["id"], fire.due):
            return None
        held = why_not(connection, self._paths, row, now, caught_up=fire.missed)
        if held is not None:
            record(connection, row["id"], fire.due, now, SKIPPED, held)
            return None
        return start(connection, self._paths, row, fire.due, now, fire.reason)


def why_not(
    connection: sa.Connection,
    paths: ProjectPaths,
    row: sa.RowMapping,
    now: int,
    *,
    caught_up: bool = False,
) -> str | None:
    """Why a trigger that is due starts nothing; None when nothing speaks against it.

    caught_up: one of several times that passed, which wait for each other in the queue.
    """
    halt = halted(connection)
    if halt is not None:
        return _said("halted", halt["by"], halt["why"])
    if row["paused"] is not None:
        return f"paused by {row['paused_by']}" + (
            f": {row['paused_why']}" if row["paused_why"] else ""
        )
    running = None if caught_up else still_running(connection, row["file"])
    limits = Limits.model_validate(json.loads(row["declared"])["limits"])
    return running or spent(connection, paths, row["file"], limits, now)


def start(
    connection: sa.Connection,
    paths: ProjectPaths,
    row: sa.RowMapping,
    due: int,
    now: int,
    reason: str,
    *,
    by: str = "",
    firing: str = "",
) -> str:
    """Record a firing and its job, together; the job's id. connection: in a writing transaction.

    by: a person who asked for it (default: the schedule itself, whose approval step then holds).
    """
    from llmops.scheduling.jobs import enqueue

    trigger, firing = trigger_of(row), firing or uuid.uuid4().hex
    job = enqueue(
        connection,
        paths=paths,
        target=row["file"],
        overrides=[f"{key}={json.dumps(value)}" for key, value in trigger.set.items()],
        name=row["pipeline"],
        by=by or f"schedule:{row['id']}",
        trigger=row["id"],
        correlation=firing,
        approval=trigger.approval and not by,
        now=now / 1000,
    )
    record(connection, row["id"], due, now, STARTED, reason, job=job, firing=firing)
    here = triggers.c.id == row["id"]
    connection.execute(sa.update(triggers).where(here).values(fired_at=now))
    return job


def record(
    connection: sa.Connection,
    trigger: str,
    due: int,
    now: int,
    outcome: str,
    reason: str,
    *,
    job: str | None = None,
    firing: str = "",
) -> None:
    """One line of the history; what was recorded of the same time before stays."""
    if has_fired(connection, trigger, due):
        return
    values = {"trigger": trigger, "due": due, "time": now, "outcome": outcome, "reason": reason}
    row = {"id": firing or uuid.uuid4().hex, "job": job, **values}
    connection.execute(sa.insert(firings).values(row))


def has_fired(connection: sa.Connection, trigger: str, due: int) -> bool:
    query = sa.select(1).where(firings.c.trigger == trigger, firings.c.due == due)
    return connection.execute(query).first() is not None


def _said(what: str, by: str, why: str) -> str:
    return f"{what} by {by}" + (f": {why}" if why else "")


def _tell_gone(connection: sa.Connection, row: sa.RowMapping, now: int) -> None:
    """That it would have fired and is not declared any more: once."""
    seen = seen_of(row)
    if seen.get("told"):
        return
    record(connection, row["id"], row["next_at"], now, SKIPPED, str(seen.get("gone")))
    here = triggers.c.id == row["id"]
    seen["told"] = True
    connection.execute(sa.update(triggers).where(here).values(seen=json.dumps(seen)))


def _advance(connection: sa.Connection, row: sa.RowMapping, next_at: int | None) -> None:
    """Compare and swap: only who found it due moves it on."""
    here = sa.and_(triggers.c.id == row["id"], triggers.c.next_at == row["next_at"])
    done = connection.execute(sa.update(triggers).where(here).values(next_at=next_at))
    assert done.rowcount == 1, "writers come one after the other"
