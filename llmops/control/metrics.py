"""What Prometheus reads of the control process: the queue, the runs, the log, and itself.

Gauges are taken when they are asked for; a database that is away leaves its gauges out and says so
(`llmops_control_database_up`).
"""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from llmops.control.project import Project
from llmops.control.requests import Counted
from llmops.errors import Failed
from llmops.gateway.metrics import Histogram, Numbers, text
from llmops.registry.aliases import latest
from llmops.scheduling.clock import millis
from llmops.serving.state import running
from llmops.store.database import reading
from llmops.store.tables import deliveries, jobs, marks, triggers

if TYPE_CHECKING:
    from collections.abc import Iterator

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_LAST_DAY = 24 * 3600


def metrics(project: Project, counted: Counted) -> bytes:
    """In Prometheus's text format."""
    found: list[Numbers | Histogram] = [counted.requests, counted.seconds, counted.open]
    found += [_memory(), _threads(project), _runs(project), _journal(project), _overrides(project)]
    found += _deployments(project)
    up = _gauge("database_up", "1 while the database answers")
    found.append(up)
    try:
        with reading(project.database) as connection:
            found += list(_stored(connection, project))
        up.values[()] = 1
    except Failed:
        up.values[()] = 0
    return text(found)


def _gauge(name: str, told: str, *labels: str) -> Numbers:
    return Numbers("gauge", name, told, labels, of="control")


def _memory() -> Numbers:
    found = _gauge("resident_bytes", "Memory of the control process")
    with open("/proc/self/statm", encoding="ascii") as file:
        found.values[()] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return found


def _threads(project: Project) -> Numbers:
    found = _gauge("thread_up", "1 while the thread runs", "thread")
    for thread in project.threads:
        found.values[thread.name,] = thread.is_alive()
    return found


def _runs(project: Project) -> Numbers:
    found = _gauge("runs", "Runs, those that ended among them", "state")
    for state, count in project.run_list.counts().items():
        found.values[state,] = count
    return found


def _journal(project: Project) -> Numbers:
    """What gateways wrote and nobody has moved yet; what is read whole is deleted."""
    found = _gauge("journal_bytes", "Segments of the journal on disk")
    size = 0
    for file in project.paths.journal.glob("*/*.jsonl"):
        try:
            size += file.stat().st_size
        except FileNotFoundError:  # the ingester came first
            continue
    found.values[()] = size
    return found


def _overrides(project: Project) -> Numbers:
    found = _gauge("alias_overridden", "1 while it stands on an override", "model", "alias")
    for name in project.registry.names():
        with suppress(Failed):  # a log that is damaged: whoever reads the alias is told
            for alias, move in latest(project.registry.alias_log.history(name)).items():
                found.values[name, alias] = move.overrides
    return found


def _deployments(project: Project) -> "Iterator[Numbers]":
    up = _gauge("deployment_ready", "1 while a running deployment is ready", "deployment")
    restarts = _gauge("deployment_restarts", "Of its backends", "deployment")
    for state in running(project.paths.serving):
        up.values[state.name,] = state.status == "ready"
        restarts.values[state.name,] = state.restarts
    yield up
    yield restarts


def _stored(connection: sa.Connection, project: Project) -> "Iterator[Numbers]":
    queue = _gauge("jobs", "Jobs of the last day, and all that have not ended", "state")
    since = millis(project.clock.now() - _LAST_DAY)
    recent = sa.or_(jobs.c.ended.is_(None), jobs.c.ended >= since)
    rows = sa.select(jobs.c.state, sa.func.count()).where(recent).group_by(jobs.c.state)
    for state, count in connection.execute(rows):
        queue.values[state,] = count
    yield queue
    seconds = _gauge("device_seconds_day", "Devices times seconds, of jobs of the last day")
    total = sa.select(sa.func.sum(jobs.c.device_seconds)).where(recent)
    seconds.values[()] = connection.execute(total).scalar() or 0
    yield seconds
    halted = _gauge("halted", "1 while the kill switch is set")
    mark = sa.select(sa.func.count()).select_from(marks).where(marks.c.name == "halt")
    halted.values[()] = connection.execute(mark).scalar() or 0
    yield halted
    paused = _gauge("triggers", "Triggers", "state")
    for state, where in (
        ("paused", triggers.c.paused.is_not(None)),
        ("gone", triggers.c.gone.is_not(None)),
        ("active", sa.and_(triggers.c.paused.is_(None), triggers.c.gone.is_(None))),
    ):
        count = sa.select(sa.func.count()).select_from(triggers).where(where)
        paused.values[state,] = connection.execute(count).scalar() or 0
    yield paused
    late = _gauge("notifications_pending", "Notifications that have yet to be delivered")
    pending = sa.select(sa.func.count()).where(deliveries.c.next_at.is_not(None))
    late.values[()] = connection.execute(pending).scalar() or 0
    yield late
