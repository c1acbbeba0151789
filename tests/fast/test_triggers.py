"""Triggers with a calendar, from the file to the queue, on both databases, with a moved clock."""

from tests.fast.scheduled import Scheduled


def test_every_hour_is_an_hour(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}")
    assert scheduled.tick() == []
    scheduled.clock.move(3599)
    assert scheduled.tick() == []
    scheduled.clock.move(1)
    assert len(scheduled.tick()) == 1
    assert scheduled.tick() == []
