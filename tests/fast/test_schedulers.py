"""Several schedulers, their sudden ends, and a database that is away: with real processes, on
SQLite and on a real PostgreSQL."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmops.scheduling.scheduler import Scheduler
from llmops.spec.settings import Settings
from llmops.store.database import open_database
from tests.conftest import ROOT
from tests.fast.moved_clock import MovedClock
from tests.fast.scheduled import Scheduled
from tests.postgres import Postgres, why_not
from tests.waiting import until

pytestmark = pytest.mark.slow
PIPELINES = 12
DUE = "2026-11-20T13:00:01+00:00"


@contextmanager
def processes(
    scheduled: Scheduled, count: int, *options: str
) -> Iterator[list["subprocess.Popen[str]"]]:
    """Schedulers that are about to take their turn."""
    settings = scheduled.settings
    env = {**os.environ, "LLMOPS_DATABASE": settings.database or ""}
    argv = [sys.executable, "-m", "tests.fast.scheduler_process", str(settings.root), DUE, *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    found = [
        subprocess.Popen(argv, cwd=ROOT, env=env, text=True, **pipes)  # type: ignore[call-overload]
        for _ in range(count)
    ]
    try:
        for one in found:
            assert one.stdout.readline() == "ready\n"
        yield found
    finally:
        for one in found:
            one.kill()
            one.communicate()


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def declare_many(scheduled: Scheduled) -> None:
    scheduled.declare("{every: 1h}")
    text = scheduled.file.read_text(encoding="utf-8")
    for number in range(1, PIPELINES):
        file = scheduled.file.with_name(f"town{number}.yaml")
        file.write_text(text.replace("name: town", f"name: town{number}"), encoding="utf-8")
    (scheduled.settings.root / "llmops.toml").write_text("", encoding="utf-8")
    scheduled.tick()


def test_of_several_schedulers_exactly_one_fires(scheduled: Scheduled) -> None:
    declare_many(scheduled)
    with processes(scheduled, 4) as found:
        for one in found:
            go(one)
        started = [job for one in found for job in json.loads(said(one))]
    assert len(started) == len(set(started)) == len(scheduled.jobs()) == PIPELINES
    assert [outcome for _, outcome, _ in scheduled.history()] == ["started"] * PIPELINES


def test_one_that_is_killed_while_it_fires_loses_and_doubles_nothing(scheduled: Scheduled) -> None:
    declare_many(scheduled)
    with processes(scheduled, 2, "--stop") as (killed, waiting):
        go(killed)
        assert said(killed) == "firing\n"
        go(waiting)  # it waits for the transaction of the first
        killed.kill()
        killed.wait()
        assert said(waiting) == "firing\n"
    assert scheduled.jobs() == scheduled.history() == []
    scheduled.clock.set(DUE)
    assert len(scheduled.tick()) == len(scheduled.jobs()) == PIPELINES


class HeldClock(MovedClock):
    """Waiting takes a moment of the machine's time, and none of its own."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(0.02)


@contextmanager
def running(settings: Settings, clock: HeldClock) -> Iterator[list[str]]:
    """A scheduler in a thread, and what it tells."""
    told: list[str] = []
    stop = threading.Event()
    scheduler = Scheduler(settings, clock, told.append)
    thread = threading.Thread(target=scheduler.run, args=(stop,))
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_database_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    """What came due meanwhile is caught up."""
    server, clock = Postgres(), HeldClock()
    settings = Settings(root=tmp_path, cache=tmp_path, database=server.new_database())
    database = open_database(settings)
    try:
        scheduled = Scheduled(settings, database, clock)
        scheduled.declare("{every: 1h, approval: true}")
        scheduled.tick()
        with running(settings, clock) as told:
            server.end()
            until(lambda: told, 60)
            clock.move(2.5 * 3600)
            server.start()
            until(lambda: "the scheduler goes on" in told, 60)
        first, queued, _ = told
        assert first.startswith("the scheduler: ")
        assert "the database: " in first
        assert queued.startswith("queued ")
        assert [row.state for row in scheduled.jobs()] == ["approval"]
        assert [outcome for _, outcome, _ in scheduled.history()] == ["skipped", "started"]
    finally:
        database.dispose()
        server.stop()


def test_a_defect_in_one_part_ends_no_other(timetable: Scheduled) -> None:
    """Also rows that cannot be read: here of a trigger that somebody wrote by hand."""
    timetable.declare("{every: 1h, approval: true}")
    timetable.tick()
    with timetable.database.begin() as connection:
        connection.exec_driver_sql("UPDATE triggers SET declared = '{'")
    clock = HeldClock()
    with running(timetable.settings, clock) as told:
        until(lambda: told, 60)
        assert "JSON" in told[0]
        with timetable.database.begin() as connection:
            connection.exec_driver_sql("DELETE FROM triggers")
        until(lambda: "the scheduler goes on" in told, 60)
