"""What holds a trigger back that is due: its pipeline still runs, or has spent its share.

Jobs count, and so do runs that were begun at a terminal, which are no jobs; those only ever count.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from llmops.runner.record import RunRecord, read_run
from llmops.spec.trigger import Limits
from llmops.store.paths import ProjectPaths
from llmops.store.tables import jobs

DAY = 86_400_000
UNFINISHED = ("approval", "queued", "starting", "running", "waiting")
_HOUR = 3600.0


def still_running(connection: sa.Connection, file: str) -> str | None:
    """Why a second run of the pipeline would meet a first one; None when it would not."""
    query = (
        sa.select(jobs.c.id, jobs.c.state)
        .where(jobs.c.target == file, jobs.c.state.in_(UNFINISHED))
        .order_by(jobs.c.created)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
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
        runs = _started(connection, paths, file, now - DAY)
        if runs >= limits.runs_a_day:
            return f"limit: {runs} runs within 24 hours (runs_a_day: {limits.runs_a_day})"
    if limits.device_hours_a_month is not None:
        hours = _device_seconds(connection, paths, file, now) / _HOUR
        if hours >= limits.device_hours_a_month:
            most = f"{limits.device_hours_a_month:g}"
            return f"limit: {hours:.1f} device hours this month (device_hours_a_month: {most})"
    return None


def _started(connection: sa.Connection, paths: ProjectPaths, file: str, since: int) -> int:
    began = sa.func.coalesce(jobs.c.started, jobs.c.created)
    never = sa.and_(jobs.c.ended.is_not(None), jobs.c.tries == 0)
    query = sa.select(sa.func.count()).where(jobs.c.target == file, began > since, ~never)
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
    for record in _by_hand(connection, paths, file, since):
        ended = datetime.fromisoformat(record.ended) if record.ended else today
        found += max(0.0, (ended - datetime.fromisoformat(record.started)).total_seconds())
    return found


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
