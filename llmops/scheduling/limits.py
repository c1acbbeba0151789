"""What holds a trigger back that is due: its pipeline still runs, or has spent its share.

Jobs count, and so do runs that were begun at a terminal, which are no jobs.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from llmops.runner.devices import needs_device
from llmops.runner.record import RunRecord, read_run
from llmops.scheduling.due import GRACE
from llmops.scheduling.jobs import ACTIVE
from llmops.spec.trigger import Limits
from llmops.store.paths import ProjectPaths
from llmops.store.tables import jobs

DAY = 86_400_000
_MONTH = 31 * DAY
_HOUR = 3600.0


def still_running(
    connection: sa.Connection, paths: ProjectPaths, file: str, now: int
) -> str | None:
    """Why a second run of the pipeline would meet a first one; None when it would not."""
    query = (
        sa.select(jobs.c.id, jobs.c.state)
        .where(jobs.c.target == file, jobs.c.state.in_(ACTIVE))
        .order_by(jobs.c.created)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        # One that waits at no terminal any more may wait for ever; it holds nobody up.
        found = _by_hand(connection, paths, file, now - _MONTH)
        running = (record.id for record in found if record.state == "running")
        return next((f"still running: {run} runs at a terminal" for run in running), None)
    words = {
        "approval": "waits for a person",
        "waiting": "waits for evidence",
        "queued": "is queued",
    }
    return f"still running: {row.id} {words.get(row.state, 'runs')}"


def spent(
    connection: sa.Connection, paths: ProjectPaths, file: str, limits: Limits, now: int
) -> str | None:
    """Which limit is reached, in words; None when there is something left. now: ms since 1970."""
    if limits.runs_a_day is not None:
        # Without the grace, what fires each day at the same time would meet itself.
        runs = _started(connection, paths, file, now - DAY + GRACE)
        if runs >= limits.runs_a_day:
            return f"limit: {runs} runs within 24 hours (runs_a_day: {limits.runs_a_day})"
    if limits.device_hours_a_month is not None:
        hours = _device_seconds(connection, paths, file, now) / _HOUR
        if hours >= limits.device_hours_a_month:
            most = f"{limits.device_hours_a_month:g}"
            return f"limit: {hours:.1f} device hours this month (device_hours_a_month: {most})"
    return None


def _started(connection: sa.Connection, paths: ProjectPaths, file: str, since: int) -> int:
    """By when it was asked for: `started` is anew each time that a waiting run is looked after."""
    never = sa.and_(jobs.c.ended.is_not(None), jobs.c.tries == 0)
    query = sa.select(sa.func.count()).where(jobs.c.target == file, jobs.c.created > since, ~never)
    asked = connection.execute(query).scalar_one()
    return int(asked) + sum(1 for _ in _by_hand(connection, paths, file, since))


def _device_seconds(connection: sa.Connection, paths: ProjectPaths, file: str, now: int) -> float:
    today = datetime.fromtimestamp(now / 1000, UTC)
    first = datetime(today.year, today.month, 1, tzinfo=UTC)
    since = int(first.timestamp() * 1000)
    running = jobs.c.state == "running"
    going = sa.case((running, jobs.c.devices * (now - jobs.c.started) / 1000.0), else_=0.0)
    total = sa.func.sum(jobs.c.device_seconds + sa.func.coalesce(going, 0.0))
    query = sa.select(total).where(jobs.c.target == file, jobs.c.created >= since)
    found = float(connection.execute(query).scalar() or 0.0)
    by_hand = _by_hand(connection, paths, file, since)
    return found + sum(_seconds(record, today) for record in by_hand)


def _seconds(record: RunRecord, now: datetime) -> float:
    """For which its stages had a device: not while it waited for evidence."""
    found = 0.0
    for stage in filter(needs_device, record.stages):
        if stage.state == "running" and stage.started is not None:
            found += (now - datetime.fromisoformat(stage.started)).total_seconds()
        found += stage.seconds or 0.0
    return max(0.0, found)


def _by_hand(
    connection: sa.Connection, paths: ProjectPaths, file: str, since: int
) -> Iterator[RunRecord]:
    """Runs of the pipeline that are no jobs, begun after `since`."""
    if not paths.runs.is_dir():
        return
    oldest = f"{datetime.fromtimestamp(since / 1000, UTC):%Y%m%d-%H%M%S}"
    names = [p.name for p in paths.runs.iterdir() if p.name >= oldest]
    query = sa.select(jobs.c.id).where(jobs.c.id >= oldest)
    known = set(connection.execute(query).scalars())
    for name in names:
        record = read_run(paths.run(name)) if name not in known else None
        if record is not None and record.file == file:
            yield record
