"""When triggers are due, by the calendar; also where clocks change. Europe/Berlin is ahead of UTC
by one hour, by two from 2027-03-28 01:00 to 2027-10-31 01:00 UTC."""

from datetime import datetime
from typing import Any

import pytest

from llmops.scheduling.calendar import MOST, next_time, next_times, passed
from llmops.scheduling.due import Fire, planned, shown
from llmops.spec.trigger import Trigger

BERLIN = {"timezone": "Europe/Berlin"}
HOUR = 3_600_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


def trigger(**declared: Any) -> Trigger:
    return Trigger.model_validate(declared)


def after(text: str, **declared: Any) -> str | None:
    found = next_time(trigger(**declared), ms(text))
    return None if found is None else shown(found).removesuffix("+00:00")


@pytest.mark.parametrize(
    ("cron", "time", "expected"),
    [
        ("0 3 * * 1", "2026-11-20T12:00:00", "2026-11-23T02:00:00"),
        ("0 3 * * *", "2027-03-27T12:00:00", "2027-03-28T01:00:00"),
        # 02:30 is skipped on that day: it comes right after the change.
        ("30 2 * * *", "2027-03-27T12:00:00", "2027-03-28T01:00:00"),
        ("30 2 * * *", "2027-03-28T01:00:00", "2027-03-29T00:30:00"),
        # 02:30 comes twice: the first counts, also for who asks in the hour that is repeated.
        ("30 2 * * *", "2027-10-30T12:00:00", "2027-10-31T00:30:00"),
        ("30 2 * * *", "2027-10-31T00:30:00", "2027-11-01T01:30:00"),
        ("30 2 * * *", "2027-10-31T01:15:00", "2027-11-01T01:30:00"),
        ("*/30 * * * *", "2027-10-31T00:30:00", "2027-10-31T01:00:00"),
        ("0 0 30 2 1", "2026-11-20T12:00:00", "2027-01-31T23:00:00"),
        ("0 0 29 2 *", "2026-11-20T12:00:00", "2028-02-28T23:00:00"),
    ],
)
def test_cron_follows_the_zone(cron: str, time: str, expected: str) -> None:
    assert after(time, cron=cron, **BERLIN) == expected


def test_a_time_is_always_later() -> None:
    daily, time = trigger(cron="30 2 * * *", **BERLIN), ms("2027-03-20T00:00:00")
    for minute in range(0, 20 * 24 * 60, 7):
        found = next_time(daily, time + minute * 60_000)
        assert found is not None
        assert found > time + minute * 60_000


def test_back_and_forth_are_the_same_times() -> None:
    """What passed is what was to come, over both changes of the clocks."""
    for cron in ("30 2 * * *", "0 */5 * * *", "15 1-3 * * *"):
        daily, begin, end = (
            trigger(cron=cron, **BERLIN),
            "2027-03-20T00:00:00",
            "2027-11-05T00:00:00",
        )
        first = next_time(daily, ms(begin))
        assert first is not None
        forward = [t for t in next_times(daily, first, MOST) if t <= ms(end)]
        assert list(passed(daily, forward[-200], forward[-1]).times) == forward[-200:]


def test_in_the_hour_that_is_repeated_nothing_passed_is_lost() -> None:
    found = passed(
        trigger(cron="30 2 * * *", **BERLIN), ms("2027-10-30T00:30:00"), ms("2027-10-31T01:15:00")
    )
    assert [shown(time)[:16] for time in found.times] == ["2027-10-30T00:30", "2027-10-31T00:30"]


def test_a_time_between_two_seconds_is_no_time_of_the_next() -> None:
    every = trigger(cron="* * * * *")
    now = ms("2026-11-20T11:59:59") + 500
    assert passed(every, now - 2 * 60_000 - 59_500, now).times[-1] == ms("2026-11-20T11:59:00")


def test_every_goes_by_whole_steps_from_its_anchor() -> None:
    three, anchor = trigger(every="3h"), ms("2026-11-20T00:00:00")
    assert next_time(three, anchor + HOUR, anchor) == anchor + 3 * HOUR
    assert next_time(three, anchor + 3 * HOUR, anchor) == anchor + 6 * HOUR
    assert next_time(three, anchor - HOUR, anchor) == anchor
    assert passed(three, anchor, anchor + 7 * HOUR).times == (
        anchor,
        anchor + 3 * HOUR,
        anchor + 6 * HOUR,
    )


def test_a_year_of_seconds_is_counted_not_listed() -> None:
    found = passed(trigger(every="1s"), 0, 365 * 24 * HOUR)
    assert (len(found.times), found.more) == (MOST, 365 * 24 * 3600 + 1 - MOST)


def test_a_day_that_never_comes() -> None:
    assert next_time(trigger(cron="0 0 31 2 1"), 0) is not None  # the day of the week comes
    assert next_time(trigger(webhook="SECRET"), 0) is None


@pytest.mark.parametrize(
    ("catch_up", "fired", "skipped"), [("latest", 1, 4), ("all", 5, 0), ("none", 0, 5)]
)
def test_what_becomes_of_missed_times(catch_up: str, fired: int, skipped: int) -> None:
    begin = ms("2026-11-20T00:00:00")
    hourly = trigger(every="1h", catch_up=catch_up)
    fires, skips = planned(hourly, begin, begin + 4 * HOUR + HOUR // 2)
    assert len(fires) == fired
    assert [skip.reason.split()[0] for skip in skips] == ([str(skipped)] if skipped else [])
    assert all(fire.missed for fire in fires)


@pytest.mark.parametrize("catch_up", ["latest", "all", "none"])
def test_what_is_on_time_fires_always(catch_up: str) -> None:
    begin = ms("2026-11-20T00:00:00")
    fires, skips = planned(trigger(every="1h", catch_up=catch_up), begin, begin + 900)
    assert (fires, skips) == ([Fire(begin, "on time")], [])


def test_the_newest_hundred_are_caught_up() -> None:
    fires, skips = planned(trigger(every="1h", catch_up="all"), 0, 400 * HOUR)
    assert (len(fires), fires[-1].due) == (100, 400 * HOUR)
    assert skips[0].reason.startswith("301 times since 1970-01-01T00:00:00+00:00 missed")
