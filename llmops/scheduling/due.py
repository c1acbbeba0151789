"""What becomes of the times that a trigger with a calendar was due: by its `catch_up`. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from llmops.scheduling.calendar import Passed, passed
from llmops.spec.trigger import Trigger

GRACE = 60_000
"""A time that passed this long ago, in ms, was missed: no scheduler was there."""
MOST_CAUGHT_UP = 100
"""With `catch_up: all`, the newest so many are caught up."""


@dataclass(frozen=True)
class Fire:
    """A time to start a run for. missed: it is caught up."""

    due: int
    reason: str
    missed: bool = False


@dataclass(frozen=True)
class Skip:
    """A time, or the last of several, for which nothing starts."""

    due: int
    reason: str


def planned(trigger: Trigger, due: int, now: int) -> tuple[list[Fire], list[Skip]]:
    """What to do about the times from `due` to `now`, both in ms since 1970, oldest first."""
    found = passed(trigger, due, now)
    count = {"all": MOST_CAUGHT_UP, "latest": 1, "none": 0}[trigger.catch_up]
    if found.times[-1] >= now - GRACE:
        count = max(count, 1)  # on time, it fires whatever becomes of others
    first = max(0, len(found.times) - count)
    left = tuple(time for time in found.times[:first] if time < now - GRACE)
    skips = [_skip(left, found, trigger.catch_up)] if left else []
    return [_fire(time, now) for time in found.times[first:]], skips


def shown(time: int) -> str:
    """ms since 1970 for people and for JSON: ISO 8601, UTC."""
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="seconds")


def _fire(time: int, now: int) -> Fire:
    if time >= now - GRACE:
        return Fire(time, "on time")
    return Fire(time, f"caught up: due {shown(time)}, when no scheduler ran", missed=True)


def _skip(left: tuple[int, ...], found: Passed, catch_up: str) -> Skip:
    count = len(left) + found.more
    more = "at least " if found.more else ""
    times = "1 time" if count == 1 else f"{more}{count:,} times"
    since = f" since {shown(found.first)}" if count > 1 else ""
    reason = f"{times}{since} missed, when no scheduler ran (catch_up: {catch_up})"
    return Skip(left[-1], reason)
