"""Triggers with a calendar, from the file to the queue, on both databases, with a moved clock."""

import os

import pytest
import sqlalchemy as sa

from llmops.errors import BadInput
from llmops.store.database import writing
from llmops.store.tables import triggers
from tests.fast.scheduled import RECIPE, Scheduled

NOON = "2026-11-20T12:00:00+00:00"
DAY = 86400


def test_every_hour_is_an_hour(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}")
    assert scheduled.tick() == []
    assert scheduled.after(3599) == []
    (job,) = scheduled.after(1)
    assert scheduled.tick() == []
    (row,) = scheduled.jobs()
    assert (row.id, row.state, row.trigger, row.by, row.target, row.devices) == (
        *(job, "queued", "town/every", "schedule:town/every", "pipelines/town.yaml", 1),
    )
    assert scheduled.history() == [("2026-11-20T13:00:00", "started", "on time")]


def test_cron_fires_in_its_zone(timetable: Scheduled) -> None:
    timetable.declare('{cron: "0 14 * * *", timezone: Europe/Berlin}')
    timetable.tick()
    assert len(timetable.after(3600)) == 1
    timetable.end_jobs()
    assert len(timetable.after(DAY)) == 1


def test_each_of_many_schedulers_may_tick(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}")
    others = [scheduled.scheduler() for _ in range(3)]
    assert [one.tick(scheduled.database) for one in others] == [[], [], []]
    scheduled.clock.move(3600)
    started = [job for one in others for job in one.tick(scheduled.database)]
    assert len(started) == len(scheduled.jobs()) == 1


def test_overrides_and_the_approval_step_go_with_it(timetable: Scheduled) -> None:
    timetable.declare('{every: 1h, approval: true, set: {stages.pairs.set: {min_pairs: "no"}}}')
    timetable.tick()
    assert timetable.after(3600) == []  # no text fits there: it would not run
    timetable.declare("{every: 1h, approval: true, set: {stages.pairs.set: {min_pairs: 7}}}")
    timetable.after(3600)
    (row,) = timetable.jobs()
    assert (row.state, row.overrides) == ("approval", '["stages.pairs.set={\\"min_pairs\\": 7}"]')


def test_what_cannot_be_told_was_not_started_by_hand(timetable: Scheduled) -> None:
    def fail(connection: sa.Connection, job: str) -> None:
        raise BadInput("no")

    timetable.declare("{every: 1h}")
    with pytest.raises(BadInput, match="no"):
        timetable.schedules.run_now("town/every", "cli:ann", fail)
    assert (timetable.jobs(), timetable.history()) == ([], [])


def test_a_paused_one_records_what_it_would_have_done(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}")
    scheduled.schedules.pause("town/every", "cli:ann", "holidays")
    scheduled.schedules.pause("town/every", "cli:bob", "too")
    assert scheduled.after(3600) == []
    assert scheduled.history() == [
        ("2026-11-20T13:00:00", "skipped", "paused by cli:ann: holidays")
    ]
    scheduled.schedules.resume("town/every", "cli:ann")
    assert len(scheduled.after(3600)) == 1


def test_the_kill_switch_holds_all(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}", '{cron: "0 13 * * *"}')
    scheduled.tick()
    scheduled.schedules.halt("cli:ann", "the disk is full")
    assert scheduled.after(3600) == []
    assert {reason for _, _, reason in scheduled.history()} == {
        "halted by cli:ann: the disk is full"
    }
    assert scheduled.schedules.unhalt("cli:ann")["was"]
    assert len(scheduled.after(3600)) == 1


def test_the_last_of_missed_times_is_caught_up(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h}")
    timetable.tick()
    assert len(timetable.after(4 * 3600 + 1800)) == 1
    missed, late = timetable.history()
    assert missed[:2] == ("2026-11-20T15:00:00", "skipped")
    assert missed[2].startswith("3 times since 2026-11-20T13:00:00+00:00 missed")
    assert late == (
        *("2026-11-20T16:00:00", "started"),
        "caught up: due 2026-11-20T16:00:00+00:00, when no scheduler ran",
    )


def test_all_missed_times_are_caught_up_in_a_row(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h, catch_up: all}", limits="{runs_a_day: 3}")
    timetable.tick()
    assert len(timetable.after(4 * 3600 + 1800)) == 3
    assert [outcome for _, outcome, _ in timetable.history()] == ["started"] * 3 + ["skipped"]


def test_missed_times_are_let_go(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h, catch_up: none}")
    timetable.tick()
    assert timetable.after(4 * 3600 + 1800) == []
    assert len(timetable.after(1800)) == 1


@pytest.mark.parametrize("trigger", ["{every: 1h}", '{cron: "0 * * * *"}'])
@pytest.mark.parametrize("back", [1, 1800, 5000])
def test_a_clock_that_steps_back_fires_nothing_twice(
    scheduled: Scheduled, trigger: str, back: float
) -> None:
    scheduled.declare(trigger)
    scheduled.tick()
    for _ in range(3):
        scheduled.after(3600)
        scheduled.end_jobs()
    assert scheduled.after(-back) == []
    while scheduled.clock.now() < scheduled.start + 4 * 3600 - 1:
        assert (
            scheduled.after(min(600, scheduled.start + 4 * 3600 - 1 - scheduled.clock.now())) == []
        )
    assert len(scheduled.after(1)) == 1
    assert [due[11:16] for due, _, _ in scheduled.history()] == ["13:00", "14:00", "15:00", "16:00"]


def test_a_clock_that_was_years_ahead_is_healed_by_any_scheduler(scheduled: Scheduled) -> None:
    scheduled.declare('{cron: "0 3 * * 1"}')
    scheduled.clock.move(4 * 365 * DAY)
    scheduled.tick()
    scheduled.clock.set(NOON)
    scheduled.triggers = scheduled.scheduler()
    scheduled.tick()
    assert scheduled.schedules.next_times("town/cron", 1)["times"] == ["2026-11-23T03:00:00+00:00"]


def test_a_file_that_is_deleted_is_told_once_and_comes_back(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h}")
    timetable.schedules.pause("town/every", "cli:ann")
    text = timetable.file.read_text(encoding="utf-8")
    timetable.file.unlink()
    for _ in range(3):
        assert timetable.after(3600) == []
    assert timetable.history() == [
        *[("2026-11-20T13:00:00", "skipped", "pipelines/town.yaml is not there")],
    ]
    (found,) = timetable.schedules.list()["items"]
    assert found["gone"]["reason"] == "pipelines/town.yaml is not there"
    timetable.file.write_text(text, encoding="utf-8")
    (found,) = timetable.schedules.list()["items"]
    assert (found["gone"], found["paused"]["by"]) == (None, "cli:ann")
    timetable.schedules.resume("town/every", "cli:ann")
    assert len(timetable.after(3600)) == 1


def test_broken_yaml_is_told_with_its_line_and_others_go_on(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h}")
    other = timetable.file.read_text(encoding="utf-8").replace("name: town", "name: city")
    timetable.file.with_name("city.yaml").write_text(other, encoding="utf-8")
    timetable.tick()
    timetable.file.write_text("name: town\nstages: {\n", encoding="utf-8")
    (job,) = timetable.after(3600)
    assert "city" in job
    (problem,) = timetable.schedules.list()["problems"]
    assert "pipelines/town.yaml:3: not valid YAML" in problem
    assert ("2026-11-20T13:00:00", "skipped", problem) in timetable.history()
    timetable.end_jobs()
    timetable.declare("{every: 1h}")
    assert len(timetable.after(3600)) == 2


def test_a_broken_recipe_is_a_reason_too(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h}")
    timetable.tick()
    recipe = timetable.settings.root / "recipes" / "pairs.yaml"
    recipe.write_text("kind: preferences\nbuilders: {}\n", encoding="utf-8")
    assert timetable.after(3600) == []
    assert "recipes/pairs.yaml" in timetable.history()[-1][2]


def test_a_recipe_that_was_away_comes_back(timetable: Scheduled) -> None:
    """Its path leads nowhere meanwhile, so no stamp of it tells."""
    timetable.declare("{feedback: {new_pairs: 3}}")
    timetable.counted(0)
    recipe = timetable.settings.root / "recipes" / "pairs.yaml"
    recipe.unlink()
    timetable.after(10)
    assert "makes no preferences" in timetable.schedules.list()["items"][0]["gone"]["reason"]
    recipe.write_text(RECIPE, encoding="utf-8")
    timetable.after(10)
    assert timetable.schedules.list()["items"][0]["gone"] is None


def test_another_time_counts_from_when_it_was_declared(timetable: Scheduled) -> None:
    timetable.declare("{every: 4h}")
    timetable.tick()
    timetable.clock.move(1800)
    timetable.declare("{every: 1h}")
    timetable.tick()
    assert timetable.after(1800) == []
    assert len(timetable.after(1800)) == 1


def test_what_is_no_calendar_changes_no_time(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h}")
    timetable.tick()
    timetable.clock.move(1800)
    timetable.declare("{every: 1h, approval: true}", limits="{runs_a_day: 5}")
    assert timetable.tick() == []
    assert len(timetable.after(1800)) == 1


def test_a_trigger_that_is_taken_out_fires_no_more(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h}", '{cron: "0 5 * * *"}')
    timetable.tick()
    timetable.declare('{cron: "0 5 * * *"}')
    assert timetable.after(3600) == []
    assert timetable.history()[-1][2] == "pipelines/town.yaml no longer declares it"


def test_two_files_of_one_pipeline_are_told(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h}")
    os.link(timetable.file, timetable.file.with_name("zwei.yaml"))
    found = timetable.schedules.list()
    assert found["problems"] == ["pipelines/town.yaml declares a pipeline `town` too"]
    assert [one["file"] for one in found["items"]] == ["pipelines/town.yaml"]


def test_nothing_is_written_while_nothing_happens(timetable: Scheduled) -> None:
    """An idle scheduler leaves the database alone, so a plan's memory of the log stays good."""
    timetable.declare("{every: 1h}", "{feedback: {new_pairs: 1}}")
    timetable.counted(0)
    timetable.tick()
    with timetable.counted_writes() as writes:
        timetable.after(60)
        timetable.after(60)
    assert writes == []


def test_what_could_be_fired_and_is_cut_short_is_fired_later(scheduled: Scheduled) -> None:
    """The firing, its job and the next time are one transaction."""
    scheduled.declare("{every: 1h}")
    scheduled.tick()
    with writing(scheduled.database) as connection:
        connection.execute(sa.update(triggers).values(declared=triggers.c.declared))
    with scheduled.cut_short(), pytest.raises(RuntimeError, match="killed here"):
        scheduled.after(3600)
    assert (scheduled.history(), scheduled.jobs()) == ([], [])
    assert len(scheduled.tick()) == 1


def test_history_comes_in_pages(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}")
    scheduled.tick()
    for _ in range(5):
        scheduled.after(3600)
    pages, after = [], None
    while True:
        page = scheduled.schedules.history("town/every", limit=2, after=after)
        pages.append([one["due"][11:13] for one in page["items"]])
        if (after := page["next"]) is None:
            break
    assert pages == [["17", "16"], ["15", "14"], ["13"]]
