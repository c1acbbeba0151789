"""What schedules and the queue forget, on both databases."""

import pytest
import sqlalchemy as sa

from llmops.scheduling import forgetting
from llmops.scheduling.clock import millis
from llmops.scheduling.forgetting import KEPT, forget
from llmops.scheduling.scheduler import Scheduler
from llmops.store.database import reading, writing
from llmops.store.tables import deliveries
from tests.fast.scheduled import Scheduled


def test_what_is_old_is_forgotten_and_no_more(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}")
    scheduled.tick()
    scheduled.after(3600)
    scheduled.end_jobs()
    (kept,) = scheduled.after(3600)
    with writing(scheduled.database) as connection:
        row = {"event": "failed", "url": "http://here", "body": "{}", "tries": 1}
        time = millis(scheduled.start)
        connection.execute(sa.insert(deliveries).values(id="a", time=time, **row))
    scheduled.clock.move(KEPT / 1000 - 1)
    assert not forget(scheduled.database, millis(scheduled.clock.now()))
    assert [job.id for job in scheduled.jobs()] == [kept]
    assert [due for due, _, _ in scheduled.history()] == ["2026-11-20T14:00:00"]
    with reading(scheduled.database) as connection:
        assert connection.execute(sa.select(deliveries)).first() is None


def test_a_job_that_has_not_ended_is_kept(timetable: Scheduled) -> None:
    timetable.declare("{every: 1h}")
    timetable.tick()
    (waiting,) = timetable.after(3600)
    forget(timetable.database, millis(timetable.clock.now()) + 2 * KEPT)
    assert [job.id for job in timetable.jobs()] == [waiting]


def test_a_scheduler_forgets_bit_by_bit(
    timetable: Scheduled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 1)
    timetable.declare("{every: 1h}")
    timetable.schedules.pause("town/every", "cli:ann")
    for _ in range(3):
        timetable.after(3600)
    timetable.file.unlink()
    timetable.clock.move(2 * KEPT / 1000)
    scheduler = Scheduler(timetable.settings, timetable.clock)
    left = []
    for _ in range(3):
        assert scheduler.tick(timetable.database) == {}
        left.append(len(timetable.history()))
    assert left == [3, 2, 1]  # the last one tells that its file is gone
