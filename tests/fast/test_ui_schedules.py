"""The Schedules tab: when something fires, in words; what holds it back; what a person can do."""

import re
from typing import Any

import pytest

from llmops.ui.firings import firings
from llmops.ui.halt import switch
from llmops.ui.markup import joined
from llmops.ui.schedule import held, next_card, schedule_card, schedules_table
from llmops.ui.when import cron, duration, when
from tests.fast.test_ui_words import Read

EVIL = "<img src=x onerror=alert(1)>"
FIRED = {
    "id": "f", "trigger": "town/weekly", "due": "2026-11-16T02:00:00+00:00",
    "time": "2026-11-16T02:00:01+00:00", "outcome": "started", "reason": "on time",
    "job": "20261116-020001-town",
}  # fmt: skip
SKIPPED = FIRED | {"outcome": "skipped", "reason": "limit: 4 runs within 24 hours", "job": None}
HALT = {"by": "cli:mara", "why": "the GPU smells", "since": "2026-11-20T10:00:00+00:00"}


def schedule(**changes: Any) -> dict[str, Any]:
    return {
        "id": "town/weekly", "pipeline": "town", "name": "weekly", "file": "pipelines/town.yaml",
        "kind": "cron", "declared": {"cron": "0 3 * * 1", "timezone": "Europe/Berlin"},
        "limits": {"runs_a_day": 4, "device_hours_a_month": 100.0},
        "next_at": "2026-11-23T02:00:00+00:00", "paused": None, "gone": None, "pairs": None,
        "last": None,
    } | changes  # fmt: skip


def feedback(have: int | None) -> dict[str, Any]:
    declared = {"feedback": {"new_pairs": 500, "cooldown": "24h", "recipe": None}}
    pairs = {"have": have, "need": 500}
    return schedule(kind="feedback", declared=declared, pairs=pairs, next_at=None)


def enabled(html: str) -> list[str]:
    return [
        act
        for act, rest in re.findall(r'<button[^>]*data-act="(\w+)"([^>]*)>', html)
        if " disabled" not in rest
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 3 * * 1", "Mondays at 03:00"),
        ("30 4 1 * *", "on day 1 of each month at 04:30"),
        ("0 9 * * 1-5", "Mondays to Fridays at 09:00"),
        ("15 6 * * *", "every day at 06:15"),
        ("5 * * * *", "every hour at :05"),
        ("0 8 * * 2,4,0", "Tuesdays, Thursdays and Sundays at 08:00"),
        ("0 8 * * 7", "Sundays at 08:00"),
        ("*/5 3 * * *", "*/5 3 * * *"),
        ("0 3 1 * 1", "0 3 1 * 1"),
        ("0 3 * 2 *", "0 3 * 2 *"),
    ],
)
def test_common_calendars_are_told_in_words_and_others_as_they_are(text: str, words: str) -> None:
    assert cron(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [("24h", "24 hours"), ("1h", "1 hour"), ("1.5h", "1.5 hours"), ("x", "x"), ("5q", "5q")],
)
def test_durations_are_told_in_words(text: str, words: str) -> None:
    assert duration(text) == words


def test_each_kind_of_trigger_says_when_it_fires() -> None:
    assert when(feedback(1)["declared"]) == "after 500 new pairs, at most once in 24 hours"
    assert when({"every": "6h"}) == "every 6 hours"
    assert when({"every": "1h"}) == "every hour"
    assert when({"webhook": "SECRET"}) == "when its webhook is called"


def test_pairs_are_a_meter_once_they_are_counted() -> None:
    assert "60 of 500 new pairs" in schedules_table([feedback(60)], halted=False)
    assert "width:12.0%" in schedules_table([feedback(60)], halted=False)
    assert "not counted yet" in schedules_table([feedback(None)], halted=False)
    assert "width:100.0%" in schedules_table([feedback(900)], halted=False)


def test_an_armed_schedule_can_be_run_and_paused() -> None:
    assert enabled(schedules_table([schedule()], halted=False)) == [
        "run_schedule",
        "pause_schedule",
    ]


def test_a_paused_one_says_why_and_can_be_resumed() -> None:
    paused = schedule(paused=HALT)
    assert enabled(schedule_card(paused, halted=False)) == ["run_schedule", "resume_schedule"]
    assert "Paused by cli:mara" in str(held(paused))
    assert "the GPU smells" in schedules_table([paused], halted=False)


def test_what_is_not_declared_any_more_or_halted_cannot_be_run() -> None:
    gone = schedule(gone={"since": HALT["since"], "reason": "the file is gone"})
    assert "run_schedule" not in enabled(schedule_card(gone, halted=False))
    assert "run_schedule" not in enabled(schedules_table([schedule()], halted=True))
    assert "the file is gone" in str(held(gone))


def test_the_switch_is_set_with_a_reason_and_ended() -> None:
    assert enabled(switch(None)) == ["halt", "halt_and_stop"]
    assert switch(None).count("data-why") == 2
    assert enabled(switch(HALT)) == ["unhalt"]
    assert "the GPU smells" in switch(HALT)


def test_history_tells_runs_and_reasons() -> None:
    found = {"items": [FIRED, SKIPPED], "next": "1_f"}
    text = firings(found, {"tab": "schedules"})
    assert "run=20261116-020001-town" in text
    assert "limit: 4 runs within 24 hours" in text
    assert "after=1_f" in text


def test_next_times_or_why_there_are_none() -> None:
    assert "Mon 23 Nov, 02:00 UTC" in next_card({"times": ["2026-11-23T02:00:00+00:00"]})
    assert "when it is called" in next_card({"times": [], "reason": "when it is called"})


def test_limits_and_the_approval_step_are_told() -> None:
    asks = schedule(declared={"every": "6h", "approval": True})
    text = Read(schedule_card(asks, halted=False)).text
    assert "4 runs a day, 100 device hours a month" in text
    assert "a person must agree before it starts" in text


def test_texts_of_others_are_only_text() -> None:
    who = {"by": EVIL, "why": EVIL, "since": HALT["since"]}
    evil = schedule(id=EVIL, file=EVIL, declared={"cron": EVIL, "timezone": EVIL}, paused=who)
    fired = SKIPPED | {"trigger": EVIL, "outcome": EVIL, "reason": EVIL, "job": EVIL}
    evil |= {"last": fired}
    whole = joined(
        schedules_table([evil], halted=False),
        schedule_card(evil, halted=False),
        held(evil),
        switch(who),
        firings({"items": [fired], "next": EVIL}, {"x": EVIL}),
    )
    assert EVIL in Read(whole).text
    assert "img" not in Read(whole).names
