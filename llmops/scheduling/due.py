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
    missed = [time for time in found.times if time < now - GRACE]
    if trigger.catch_up == "all":
        kept = found.times[-MOST_CAUGHT_UP:]
        left = found.times[: -len(kept)]
        fires = [Fire(time, _late(time), True) for time in kept if time in set(missed)]
        fires += [Fire(time, "on time") for time in kept if time not in set(missed)]
    elif trigger.catch_up == "latest" or len(missed) < len(found.times):
        last = found.times[-1]
        late = last in missed
        fires = [Fire(last, _late(last) if late else "on time", late)]
        left = found.times[:-1]
    else:
        fires, left = [], found.times
    left = tuple(time for time in left if time in set(missed))
    skips = [_skip(left, found, trigger.catch_up)] if left else []
    return fires, skips


def shown(time: int) -> str:
    """ms since 1970 for people and for JSON: ISO 8601, UTC."""
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="seconds")


def _late(time: int) -> str:
    return f"caught up: due {shown(time)}, when no scheduler ran"


def _skip(left: tuple[int, ...], found: Passed, catch_up: str) -> Skip:
    count = len(left) + found.more
    more = "at least " if found.more else ""
    times = "1 time" if count == 1 else f"{more}{count:,} times"
    since = f" since {shown(found.first)}" if count > 1 else ""
    reason = f"{times}{since} missed, when no scheduler ran (catch_up: {catch_up})"
    return Skip(left[-1], reason)
