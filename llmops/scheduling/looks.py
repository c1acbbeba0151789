"""Triggers that wait for pairs: a cheap look now and then, an exact count where the log has grown.

A look reads a few rows, however long the log is: how much feedback came (feedback/growth.py), and
which snapshot is the newest. Only when that changed are the pairs counted, by one scheduler of all
(a lease on the trigger's row), in a child process, and in the long run a tenth of the time.

What is new counts once: a firing whose run makes no snapshot is not repeated by the same pairs.
"""

import json
import os
import socket
import uuid
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from llmops.errors import BadInput, Failed
from llmops.feedback.growth import growth
from llmops.preferences.snapshot import find_snapshot
from llmops.runner.patience import REST
from llmops.scheduling.counting import Counting
from llmops.scheduling.due import shown
from llmops.scheduling.firing import (
    SKIPPED,
    Target,
    free_time,
    record,
    start,
    target_of,
    why_not,
)
from llmops.scheduling.sync import seen_of, trigger_of
from llmops.scheduling.unread import Unread
from llmops.spec.grammar import seconds
from llmops.spec.settings import Settings
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import triggers

EVERY = 5_000
"""ms between two looks, and at least between two counts."""
LEASE = 60_000
"""ms for which a trigger is one scheduler's to count for; renewed while it counts."""
AGAIN = 60_000
"""ms until a count that failed is tried again, at least."""
BURST = 120_000
"""ms of rest that may be owed: the first counts after a quiet time follow each other at once."""


@dataclass
class _Turn:
    """What one scheduler remembers of a trigger. looked: when, in ms."""

    looked: int | None = None
    state: list[Any] = field(default_factory=list)
    counting: Counting | None = None


class Looks:
    """The feedback triggers of a project, as one scheduler sees them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = ProjectPaths(settings.root)
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._turns: dict[str, _Turn] = {}
        self._unread = Unread(self._paths)

    def tick(self, database: sa.Engine, rows: list[sa.RowMapping], now: int) -> list[str]:
        """Look, count, fire; the jobs that this made. rows: of all triggers; now: ms since 1970."""
        waiting = [row for row in rows if row["kind"] == "feedback" and row["gone"] is None]
        started = [self._one(database, row, now) for row in waiting]
        for id in self._turns.keys() - {row["id"] for row in waiting}:
            self._drop(id)
        return [job for job in started if job is not None]

    @property
    def is_busy(self) -> bool:
        return any(turn.counting is not None for turn in self._turns.values())

    def close(self) -> None:
        """End the counts that are under way."""
        for id in list(self._turns):
            self._drop(id)

    def _drop(self, id: str) -> None:
        counting = self._turns.pop(id).counting
        if counting is not None:
            counting.end()

    def _one(self, database: sa.Engine, row: sa.RowMapping, now: int) -> str | None:
        turn = self._turns.setdefault(row["id"], _Turn())
        if turn.counting is not None:
            found = turn.counting.result()
            if found is None:
                self._renew(database, row, now)
                return None
            row = self._counted(database, row, turn, found, now)
        elif turn.looked is not None and 0 <= now - turn.looked < EVERY:
            return None
        turn.looked = now
        if self._changed(database, row, turn, now):
            return None
        return self._fire(database, row, now)

    def _changed(self, database: sa.Engine, row: sa.RowMapping, turn: _Turn, now: int) -> bool:
        """Whether a count was begun, because there is something new to count."""
        turn.state = look(database, row, self._paths)
        seen = seen_of(row)
        same = seen.get("state") == turn.state and not self._unread.is_left(database, now)
        if same or now < _soonest(seen, now) or not self._lease(database, row, now):
            return False
        turn.counting = Counting(self._settings, row["file"], row["id"].partition("/")[2])
        return True

    def _lease(self, database: sa.Engine, row: sa.RowMapping, now: int) -> bool:
        """Have it to oneself. A lease from a time to come was given by a clock that was ahead."""
        until = triggers.c.lease_until
        free = sa.or_(until.is_(None), until <= now, until > now + LEASE)
        unseen = triggers.c.seen.is_not_distinct_from(row["seen"])
        return self._write_lease(database, row, sa.and_(free, unseen), now + LEASE)

    def _renew(self, database: sa.Engine, row: sa.RowMapping, now: int) -> None:
        if not LEASE // 2 < (row["lease_until"] or 0) - now <= LEASE:
            mine = triggers.c.lease_owner == self._owner
            self._write_lease(database, row, mine, now + LEASE)

    def _write_lease(
        self, database: sa.Engine, row: sa.RowMapping, condition: Any, until: int
    ) -> bool:
        query = sa.update(triggers).where(triggers.c.id == row["id"], condition)
        values = {"lease_owner": self._owner, "lease_until": until}
        with writing(database) as connection:
            return bool(connection.execute(query.values(values)).rowcount)

    def _counted(
        self,
        database: sa.Engine,
        row: sa.RowMapping,
        turn: _Turn,
        found: dict[str, Any],
        now: int,
    ) -> sa.RowMapping:
        """Write down what was counted, unless the lease was lost meanwhile; the row as it is."""
        assert turn.counting is not None
        took = turn.counting.seconds
        turn.counting = None
        here = triggers.c.id == row["id"]
        with writing(database) as connection:
            row = connection.execute(sa.select(triggers).where(here)).mappings().one()
            if row["lease_owner"] != self._owner:
                return row
            rested = _rested(seen_of(row), now, took)
            seen = {**seen_of(row), "counted": now, "rested": rested, "error": None}
            if "error" in found:
                seen["error"] = found["error"]
                if row["seen"] is None or seen_of(row).get("error") != found["error"]:
                    due = free_time(connection, row["id"], now)
                    text = f"the pairs could not be counted: {found['error']}"
                    record(connection, row["id"], due, now, SKIPPED, text)
            else:
                seen |= {**found, "state": turn.state}
            values = {"seen": json.dumps(seen), "lease_owner": None, "lease_until": None}
            connection.execute(sa.update(triggers).where(here).values(values))
            return connection.execute(sa.select(triggers).where(here)).mappings().one()

    def _fire(self, database: sa.Engine, row: sa.RowMapping, now: int) -> str | None:
        """Start its run, or record what holds it back: each reason once."""
        if pairs(row)["have"] < pairs(row)["need"]:
            return None
        target = Target()
        with reading(database) as connection:
            held = self._why_not(connection, row, target, now)
        if held is None:
            target = target_of(row, self._settings)
            held = None if target.error is None else target.error.line
        if held is not None and seen_of(row).get("held") == _kind(held):
            return None
        here = triggers.c.id == row["id"]
        with writing(database) as connection:
            row = connection.execute(sa.select(triggers).where(here)).mappings().one()
            found = pairs(row)
            if found["have"] < found["need"] or row["gone"] is not None:
                return None  # another scheduler has fired it
            held = self._why_not(connection, row, target, now)
            due = free_time(connection, row["id"], now)
            if held is None:
                reason = f"{found['have']:,} new pairs ({found['need']:,} asked for)"
                return start(connection, self._paths, row, target, due, now, reason)
            seen = seen_of(row)
            if seen.get("held") != _kind(held):
                record(connection, row["id"], due, now, SKIPPED, held)
                seen["held"] = _kind(held)
                connection.execute(sa.update(triggers).where(here).values(seen=json.dumps(seen)))
            return None

    def _why_not(
        self, connection: sa.Connection, row: sa.RowMapping, target: Target, now: int
    ) -> str | None:
        held = why_not(connection, self._paths, row, target, now)
        return held or cooling(row, now)


def look(database: sa.Engine, row: sa.RowMapping, paths: ProjectPaths) -> list[Any]:
    """What a count would depend on: how far the log has grown, and the newest snapshot."""
    stored = json.loads(row["declared"])
    try:
        newest = find_snapshot(stored["preferences"], paths).id
    except BadInput:  # there is none yet
        newest = None
    except Failed as error:  # whoever counts tells it
        newest = error.line
    with reading(database) as connection:
        grown = growth(connection, stored["deployment"])
    return [grown, newest, stored["trigger"]["feedback"].get("recipe")]


def pairs(row: sa.RowMapping) -> dict[str, int]:
    """have: usable pairs that are new since the newest snapshot, and since the last firing where
    that made none; need: that it waits for."""
    seen, feedback = seen_of(row), trigger_of(row).feedback
    assert feedback is not None
    have, fired = int(seen.get("have", 0)), seen.get("fired")
    if fired is not None and fired["snapshot"] == seen.get("snapshot"):
        have -= int(fired["have"])
    return {"have": max(have, 0), "need": feedback.new_pairs}


def cooling(row: sa.RowMapping, now: int) -> str | None:
    """Whether the last firing is too short a time ago. One that lies far ahead is none: the clock
    was wrong then."""
    feedback = trigger_of(row).feedback
    assert feedback is not None
    cooldown = round(seconds(feedback.cooldown) * 1000)
    fired = row["fired_at"]
    if fired is None or not -cooldown < now - fired < cooldown:
        return None
    return f"cooldown: until {shown(fired + cooldown)} ({feedback.cooldown} after the last one)"


def _rested(seen: dict[str, Any], now: int, took: float) -> int:
    """When the rest from all counts is over, after one more that took so many seconds."""
    owed = min(max(int(seen.get("rested", 0)) - now, 0), BURST)
    return now + owed + round((1 + REST) * took * 1000)  # while it counts, it rests from others


def _soonest(seen: dict[str, Any], now: int) -> int:
    """When the next count may begin: in the long run counting takes a tenth of the time."""
    counted = seen.get("counted")
    if counted is None or int(counted) > now:
        return now
    least = int(counted) + (AGAIN if seen.get("error") else EVERY)
    return max(least, int(seen.get("rested", 0)) - BURST)


def _kind(held: str) -> str:
    """The reason without its figures, which change all the time."""
    return held.partition(":")[0]
