"""One firing: what speaks against it, the job that it makes, and the line in the history.

All of it happens in the caller's writing transaction, so there is either all of it or nothing; and
writers come one after the other (store/database.py), so what was read still holds.
"""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from llmops.errors import LlmopsError
from llmops.scheduling.halt import halted
from llmops.scheduling.limits import spent, still_running
from llmops.scheduling.sync import seen_of, trigger_of
from llmops.spec.settings import Settings
from llmops.spec.trigger import Limits, Trigger
from llmops.store.paths import ProjectPaths
from llmops.store.tables import firings, triggers

STARTED, SKIPPED = "started", "skipped"


@dataclass(frozen=True)
class Target:
    """What a trigger would start: its pipeline as its files stand. devices: that it needs; error:
    why it cannot be planned at all."""

    devices: int = 1
    error: LlmopsError | None = None


def target_of(row: sa.RowMapping, settings: Settings) -> Target:
    """Reads the pipeline and its recipes; asked before a transaction, which holds others up."""
    from llmops.runner.devices import declared_devices
    from llmops.runner.graph import build_graph
    from llmops.stages.catalog import KINDS

    path = settings.root / row["file"]
    try:
        graph = build_graph(path, overrides(trigger_of(row)), root=settings.root, kinds=KINDS)
    except LlmopsError as error:
        return Target(error=error)
    return Target(declared_devices(graph))


def overrides(trigger: Trigger) -> list[str]:
    """As they are typed at a terminal; JSON is YAML, and keeps what is text a text."""
    return [f"{key}={json.dumps(value)}" for key, value in trigger.set.items()]


def why_not(
    connection: sa.Connection,
    paths: ProjectPaths,
    row: sa.RowMapping,
    target: Target,
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
        return _said("paused", row["paused_by"], row["paused_why"])
    if target.error is not None:
        return target.error.line
    running = None if caught_up else still_running(connection, paths, row["file"], now)
    limits = Limits.model_validate(json.loads(row["declared"])["limits"])
    return running or spent(connection, paths, row["file"], limits, now)


def start(
    connection: sa.Connection,
    paths: ProjectPaths,
    row: sa.RowMapping,
    target: Target,
    due: int,
    now: int,
    reason: str,
    *,
    by: str = "",
    firing: str = "",
) -> str:
    """Record a firing and its job; the job's id.

    by: a person who asked for it (default: the schedule itself, whose approval step then holds).
    """
    from llmops.scheduling.jobs import enqueue

    trigger, firing = trigger_of(row), firing or uuid.uuid4().hex
    job = enqueue(
        connection,
        paths=paths,
        target=row["file"],
        overrides=overrides(trigger),
        name=row["pipeline"],
        by=by or f"schedule:{row['id']}",
        trigger=row["id"],
        correlation=firing,
        approval=trigger.approval and not by,
        devices=target.devices,
        now=now / 1000,
    )
    record(connection, row["id"], due, now, STARTED, reason, job=job, firing=firing)
    values: dict[str, Any] = {"fired_at": now}
    if trigger.kind == "feedback":
        seen = seen_of(row)
        # What it knew of pairs then does not count again, also if the run makes no snapshot.
        seen["fired"] = {"snapshot": seen.get("snapshot"), "have": seen.get("have", 0)}
        seen.pop("held", None)
        values["seen"] = json.dumps(seen)
    connection.execute(sa.update(triggers).where(triggers.c.id == row["id"]).values(values))
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
    """One line of the history; what is recorded of the same time already stays."""
    if has_fired(connection, trigger, due):
        return
    values = {"trigger": trigger, "due": due, "time": now, "outcome": outcome, "reason": reason}
    row = {"id": firing or uuid.uuid4().hex, "job": job, **values}
    connection.execute(sa.insert(firings).values(row))


def has_fired(connection: sa.Connection, trigger: str, due: int) -> bool:
    query = sa.select(1).where(firings.c.trigger == trigger, firings.c.due == due)
    return connection.execute(query).first() is not None


def free_time(connection: sa.Connection, trigger: str, now: int) -> int:
    """`now`, or the first millisecond after it that nothing is recorded of."""
    while has_fired(connection, trigger, now):
        now += 1
    return now


def _said(what: str, by: str, why: str) -> str:
    return f"{what} by {by}" + (f": {why}" if why else "")
