"""What holds a trigger back that is due, on both databases, with a moved clock."""

from datetime import UTC, datetime, timedelta

from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.scheduling.clock import millis
from llmops.scheduling.limits import spent
from llmops.spec.trigger import Limits
from llmops.store.database import reading
from llmops.store.paths import ProjectPaths
from tests.fast.scheduled import Scheduled

DAY = 86400


def at_a_terminal(
    scheduled: Scheduled, *stages: StageRecord, file: str = "pipelines/town.yaml"
) -> RunLog:
    """A run that a person has just begun."""
    paths = ProjectPaths(scheduled.settings.root)
    return RunLog.begin(paths, "town", file, [], list(stages), file=file)


def test_what_still_runs_is_not_started_again(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}")
    scheduled.tick()
    (first,) = scheduled.after(3600)
    for _ in range(2):
        assert scheduled.after(3600) == []
    assert {reason for _, outcome, reason in scheduled.history() if outcome == "skipped"} == {
        f"still running: {first} is queued"
    }
    scheduled.end_jobs()
    assert len(scheduled.after(3600)) == 1


def test_runs_a_day(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}", limits="{runs_a_day: 2}")
    scheduled.tick()
    for _ in range(3):
        scheduled.after(3600)
        scheduled.end_jobs()
    assert [outcome for _, outcome, _ in scheduled.history()] == ["started", "started", "skipped"]
    assert scheduled.history()[-1][2] == "limit: 2 runs within 24 hours (runs_a_day: 2)"
    assert len(scheduled.after(22 * 3600)) == 1


def test_runs_of_a_terminal_count(timetable: Scheduled) -> None:
    timetable.clock.set_now()
    timetable.declare("{every: 1h}", limits="{runs_a_day: 1}")
    timetable.tick()
    at_a_terminal(timetable, file="pipelines/other.yaml").end("done")
    at_a_terminal(timetable).end("done")
    assert timetable.after(3600) == []
    assert timetable.history()[-1][2].startswith("limit: 1 runs within 24 hours")


def test_device_hours_a_month(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}", limits="{device_hours_a_month: 2}")
    scheduled.tick()
    scheduled.after(3600)
    scheduled.end_jobs(device_seconds=2 * 3600.0)
    assert scheduled.after(3600) == []
    assert scheduled.history()[-1][2].startswith("limit: 2.0 device hours this month")
    scheduled.clock.set("2026-12-01T00:00:00+00:00")
    assert len(scheduled.tick()) == 1


def test_a_start_by_hand_counts_and_is_held_back_by_nothing(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h, approval: true}", limits="{runs_a_day: 1}")
    timetable.schedules.pause("town/every", "cli:ann")
    jobs = [timetable.schedules.run_now("town/every", "cli:ann")["job"] for _ in range(2)]
    assert [(row.id, row.state) for row in timetable.jobs()] == [(job, "queued") for job in jobs]
    timetable.end_jobs()
    timetable.schedules.resume("town/every", "cli:ann")
    assert timetable.after(3600) == []


def test_what_runs_at_a_terminal_is_not_started_again(timetable: Scheduled) -> None:
    timetable.clock.set_now()
    timetable.declare("{every: 1h}")
    timetable.tick()
    log = at_a_terminal(timetable)
    assert timetable.after(3600) == []
    reason = f"still running: {log.record.id} runs at a terminal"
    assert timetable.history()[-1][2] == reason
    log.end("waiting")
    assert len(timetable.after(3600)) == 1


def test_a_run_that_waited_counts_from_when_it_was_asked_for(timetable: Scheduled) -> None:
    timetable.declare("{every: 24h}", limits="{runs_a_day: 1}")
    timetable.tick()
    assert len(timetable.after(DAY)) == 1
    timetable.clock.move(DAY - 60)
    timetable.end_jobs()  # its last look was begun a moment ago
    assert len(timetable.after(60)) == 1


def test_once_a_day_does_not_meet_itself(timetable: Scheduled) -> None:
    """A scheduler looks each second: one day a bit later than the next."""
    timetable.declare("{every: 24h}", limits="{runs_a_day: 1}")
    timetable.tick()
    assert len(timetable.after(DAY + 0.9)) == 1
    timetable.end_jobs()
    assert len(timetable.after(DAY - 0.8)) == 1


def test_waiting_at_a_terminal_costs_no_device_hours(timetable: Scheduled) -> None:
    now = datetime.now(UTC)
    stages = [
        StageRecord(name="train", kind="train", state="done", seconds=3600),
        StageRecord(name="release", kind="promote", state="done", seconds=3 * 3600),
    ]
    log = at_a_terminal(timetable, *stages)
    log.record = log.record.model_copy(update={"started": (now - timedelta(hours=4)).isoformat()})
    log.end("waiting")
    limits = Limits(device_hours_a_month=1)
    with reading(timetable.database) as connection:
        paths = ProjectPaths(timetable.settings.root)
        said = spent(connection, paths, log.record.file, limits, millis(now.timestamp()))
    assert str(said).startswith("limit: 1.0 device hours this month")
