"""Firing what is due: each time once, whichever of several schedulers gets there first.

A tick brings the rows in step with the files, then takes each trigger that is due. A firing, its
job and the trigger's next time are one transaction: a scheduler that is killed leaves all of it or
nothing. `firings_once` keeps a clock that steps back from firing twice. What is not started is
recorded with its reason. Triggers that wait for pairs: looks.py; webhooks: hooks.py.
"""

import json

import sqlalchemy as sa

from llmops.scheduling.calendar import next_time
from llmops.scheduling.clock import Clock, millis
from llmops.scheduling.declared import Declarations
from llmops.scheduling.due import Fire, planned
from llmops.scheduling.firing import SKIPPED, Target, has_fired, record, start, target_of, why_not
from llmops.scheduling.looks import Looks
from llmops.scheduling.sync import heal, seen_of, sync, trigger_of
from llmops.spec.settings import Settings
from llmops.store.database import writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import triggers


class Triggers:
    """The triggers of a project, as one scheduler sees them."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._paths = ProjectPaths(settings.root)
        self._clock = clock
        self._declarations = Declarations(settings)
        self._looks = Looks(settings)
        self._last: int | None = None

    def tick(self, database: sa.Engine) -> list[str]:
        """Fire what is due; the jobs that this made. Raises Failed when the database is away."""
        now = millis(self._clock.now())
        rows = sync(database, self._declarations.read(), now)
        if self._last is None or now < self._last:
            rows = heal(database, now)
        self._last = now
        started: list[str] = []
        for row in _due(rows, now):
            target = target_of(row, self._settings) if row["gone"] is None else Target()
            with writing(database) as connection:
                started += self._take(connection, row, target, now)
        return started + self._looks.tick(database, rows, now)

    @property
    def is_busy(self) -> bool:
        """Whether pairs are being counted."""
        return self._looks.is_busy

    def close(self) -> None:
        """End what it has under way."""
        self._looks.close()

    def _take(
        self, connection: sa.Connection, due: sa.RowMapping, target: Target, now: int
    ) -> list[str]:
        """Deal with one that was due, unless another scheduler has; the jobs that this made."""
        here = sa.and_(triggers.c.id == due["id"], triggers.c.next_at == due["next_at"])
        row = connection.execute(sa.select(triggers).where(here)).mappings().first()
        if row is None:
            return []
        trigger = trigger_of(row)
        later = next_time(trigger, now, row["next_at"])
        connection.execute(sa.update(triggers).where(here).values(next_at=later))
        if row["gone"] is not None:
            _tell_gone(connection, row, now)
            return []
        fires, skips = planned(trigger, row["next_at"], now)
        for skip in skips:
            record(connection, row["id"], skip.due, now, SKIPPED, skip.reason)
        jobs = [self._fire(connection, row, target, fire, now) for fire in fires]
        return [job for job in jobs if job is not None]

    def _fire(
        self,
        connection: sa.Connection,
        row: sa.RowMapping,
        target: Target,
        fire: Fire,
        now: int,
    ) -> str | None:
        if has_fired(connection, row["id"], fire.due):
            return None
        held = why_not(connection, self._paths, row, target, now, caught_up=fire.missed)
        if held is not None:
            record(connection, row["id"], fire.due, now, SKIPPED, held)
            return None
        return start(connection, self._paths, row, target, fire.due, now, fire.reason)


def _due(rows: list[sa.RowMapping], now: int) -> list[sa.RowMapping]:
    """The longest due first."""
    due = [row for row in rows if row["next_at"] is not None and row["next_at"] <= now]
    return sorted(due, key=lambda row: int(row["next_at"]))


def _tell_gone(connection: sa.Connection, row: sa.RowMapping, now: int) -> None:
    """That it would have fired and is not declared any more: once."""
    seen = seen_of(row)
    if seen.get("told"):
        return
    record(connection, row["id"], row["next_at"], now, SKIPPED, str(seen.get("gone")))
    seen["told"] = True
    here = triggers.c.id == row["id"]
    connection.execute(sa.update(triggers).where(here).values(seen=json.dumps(seen)))
