"""When a trigger with a calendar (`cron`, `every`) is due. Pure; times are milliseconds since 1970.

Cron expressions are read as Debian's cron does, by cronsim: a time that a change to summer time
skips comes right after the change, one that comes twice is taken once, and what runs every hour or
minute follows the clock of the world.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import dropwhile, islice, takewhile

from llmops.spec.grammar import seconds
from llmops.spec.trigger import Trigger

MOST = 1000
"""Of the times that passed, so many are told one by one."""
_TWICE = 3 * 3600 * 1000
"""Longer than any hour that a change of the clocks repeats."""


@dataclass(frozen=True)
class Passed:
    """times: the newest that have passed, at most MOST, oldest first; first: the oldest of all;
    more: how many lie before `times`, at least."""

    times: tuple[int, ...]
    first: int
    more: int = 0


def has_calendar(trigger: Trigger) -> bool:
    return trigger.cron is not None or trigger.every is not None


def next_time(trigger: Trigger, after: int, anchor: int | None = None) -> int | None:
    """The first time later than `after`; None without a calendar, or when it never comes.

    anchor: a time that an `every` was due (default: `after`): the others lie whole steps from it.
    """
    if trigger.every is not None:
        step = _step(trigger)
        start = after if anchor is None else anchor
        return start + ((after - start) // step + 1) * step
    if trigger.cron is None:
        return None
    return next(_cron(trigger, after), None)


def next_times(trigger: Trigger, first: int, count: int) -> list[int]:
    """`first`, which is due, and those after it."""
    found = [first]
    while len(found) < count:
        later = next_time(trigger, found[-1])
        if later is None:
            break
        found.append(later)
    return found[:count]


def passed(trigger: Trigger, due: int, now: int) -> Passed:
    """The times from `due` up to `now`; due: the first of them, not later than `now`."""
    if trigger.every is not None:
        step = _step(trigger)
        count = (now - due) // step + 1
        last = due + (count - 1) * step
        kept = min(count, MOST)
        times = tuple(last - step * back for back in range(kept - 1, -1, -1))
        return Passed(times, due, count - kept)
    later = next_time(trigger, due)
    if later is None or later > now:
        return Passed((due,), due)
    newest = list(islice(takewhile(lambda time: time >= due, _back(trigger, now)), MOST + 1))
    return Passed(tuple(reversed(newest[:MOST])), due, 1 if len(newest) > MOST else 0)


def _step(trigger: Trigger) -> int:
    assert trigger.every is not None
    return round(seconds(trigger.every) * 1000)


def _local(trigger: Trigger, time: int) -> datetime:
    from zoneinfo import ZoneInfo

    zone = UTC if trigger.timezone == "UTC" else ZoneInfo(trigger.timezone)
    return datetime.fromtimestamp(time / 1000, zone)


def _cron(trigger: Trigger, after: int) -> Iterator[int]:
    """In the hour that a change from summer time repeats, cronsim starts from its first pass."""
    from cronsim import CronSim

    assert trigger.cron is not None
    times = map(_millis, CronSim(trigger.cron, _local(trigger, after)))
    return dropwhile(lambda time: time <= after, times)


def _back(trigger: Trigger, now: int) -> Iterator[int]:
    """From `now` (included) backwards."""
    from cronsim import CronSim

    assert trigger.cron is not None
    twice = _TWICE if len(trigger.cron.split()) == 5 and trigger.timezone != "UTC" else 0
    # One second on, because it gives what comes before; a whole one, which it does not round.
    begin = (now // 1000 + 1) * 1000 + twice
    times = map(_millis, CronSim(trigger.cron, _local(trigger, begin), reverse=True))
    return dropwhile(lambda time: time > now, times)


def _millis(time: datetime) -> int:
    return round(time.timestamp() * 1000)
