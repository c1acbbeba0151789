"""Runs in the background: `llmops run -d` without any scheduler, followed from other terminals."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from filelock import FileLock

from llmops.runner.record import read_run
from llmops.scheduling.following import followed
from llmops.scheduling.halt import set_halt
from llmops.scheduling.holder import read_holder
from llmops.scheduling.queue import Queue as Standings
from llmops.scheduling.signs import SILENT_SECONDS, Sign, at_work
from llmops.store.database import reading, writing
from llmops.store.tables import marks
from tests.conftest import Llmops, run_llmops
from tests.fast.job_queue import MOVE, Queue
from tests.processes import end_of
from tests.waiting import until


@pytest.fixture
def heavy(queue: Queue) -> Queue:
    """Of a machine with one device, which each of its runs needs."""
    queue.make_heavy()
    return queue


def why(queue: Queue) -> dict[str, str]:
    found = Standings(queue.runs.paths).standings(queue.database)
    return {one.job.id: one.why for one in found}


def terminal(root: Path, *args: str) -> str:
    """Type a command at a terminal of its own, which is gone afterwards; what it printed."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(root)
        os.execv(sys.executable, [sys.executable, "-m", "llmops", *args])
    said = b""
    while True:
        try:
            said += os.read(master, 4096)
        except OSError:
            break
    os.close(master)
    os.waitpid(pid, 0)
    return said.decode()


def works(queue: Queue) -> bool:
    """Whether an interim process is at the queue."""
    with reading(queue.database) as connection:
        return at_work(connection, time.time(), "interim")


def told(queue: Queue, run: str) -> list[tuple[str, Any]]:
    return [(one.event, one.data.get("state")) for one in followed(queue.runs, run)]


@pytest.mark.slow
def test_what_is_asked_for_at_a_terminal_outlives_it_without_a_scheduler(queue: Queue) -> None:
    with queue.hold():
        run = terminal(queue.root, "run", "p.yaml", "-d").split()[0]
        holder = until(lambda: read_holder(queue.runs.paths.run(run)), 60)
        until(lambda: read_run(queue.runs.paths.run(run)) is not None)
        assert os.getsid(holder.pid) == holder.pid
    assert run_llmops("runs", "logs", run, "-f", cwd=queue.root).returncode == 0
    assert queue.record(run).state == "done"
    assert queue.moves() == 1


@pytest.mark.slow
def test_who_works_the_queue_off_goes_when_it_is_empty(queue: Queue) -> None:
    run = run_llmops("run", "p.yaml", "-d", cwd=queue.root).stdout.strip()
    until(lambda: works(queue), 60)
    until(lambda: not works(queue), 60)
    assert queue.job(run).state == "done"


@pytest.mark.slow
def test_what_is_asked_for_behind_another_is_not_said_to_wait_for_a_scheduler(queue: Queue) -> None:
    first = queue.ask().id
    lock = queue.runs.paths.lock("queue")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # so that whoever works the queue off has yet to begin
        asked = run_llmops("run", "p.yaml", "-d", cwd=queue.root)
    assert "queued: it starts in the background" in asked.stderr
    until(lambda: queue.job(asked.stdout.strip()).state == "done", 60)
    assert queue.job(first).state == "done"
    until(lambda: not works(queue), 60)


@pytest.mark.slow
def test_who_works_the_queue_off_goes_with_the_project(queue: Queue) -> None:
    run = queue.ask().id
    with queue.hold():
        interim = subprocess.Popen([sys.executable, "-m", "llmops.scheduling.interim"])
        until(lambda: works(queue), 60)
        holder = queue.in_its_middle(run)
        os.kill(holder.pid, signal.SIGSTOP)  # so that it does not end by itself
        try:
            shutil.rmtree(queue.root / ".llmops")
            assert interim.wait(30) == 0
        finally:
            interim.kill()
            os.kill(holder.pid, signal.SIGKILL)
            end_of([holder.pid])


def test_a_scheduler_leaves_nothing_to_work_off(queue: Queue, llmops: Llmops) -> None:
    sign = Sign()
    sign.give(queue.database, time.time())
    run = llmops("run", "p.yaml", "-d").stdout.strip()
    assert not queue.runs.paths.part_log("queue").exists()
    assert why(queue) == {run: "its turn has come"}
    sign.take(queue.database)
    assert why(queue)[run].startswith("nobody works on the queue")


def test_a_dead_scheduler_is_none(queue: Queue) -> None:
    code = (
        "import time\n"
        "from llmops.scheduling.signs import Sign\n"
        "from llmops.spec.settings import load_settings\n"
        "from llmops.store.database import open_database\n"
        "Sign().give(open_database(load_settings()), time.time())\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=queue.root, check=True)
    with reading(queue.database) as connection:
        assert not at_work(connection, time.time())


def test_the_queue_says_why_each_waits(heavy: Queue) -> None:
    Sign().give(heavy.database, time.time())
    first, second, third = (heavy.ask().id for _ in range(3))
    with heavy.hold():
        heavy.in_its_middle(first)
        assert why(heavy) == {
            first: "",
            second: f"{first} has the device",
            third: f"after {second}",
        }
        with writing(heavy.database) as connection:
            set_halt(connection, "cli:me", "", 0)
        assert why(heavy)[second] == "halted by cli:me: `llmops schedule unhalt`"
        for run in (third, second, first):
            heavy.runs.stop(run, "cli:test")
        heavy.ended(first)


@pytest.mark.slow
def test_a_run_is_followed_from_its_place_in_the_queue(queue: Queue) -> None:
    run = queue.ask().id
    process = queue.turning()
    found = told(queue, run)
    process.kill()
    assert found[0] == ("queue", "queued")
    assert found[-1] == ("end", "done")


@pytest.mark.slow
def test_a_run_that_is_killed_is_followed_to_its_second_end(queue: Queue) -> None:
    run = queue.ask().id
    with queue.hold():
        holder = queue.in_its_middle(run)
        following = followed(queue.runs, run)
        assert next(following).event == "stage"
        os.kill(holder.pid, 9)
        end_of([holder.pid])
        queue.dispatcher.close()
    queue.turning()
    assert list(following)[-1].data["state"] == "done"


@pytest.mark.slow
def test_what_never_began_ends_with_its_reason(queue: Queue, llmops: Llmops) -> None:
    run = queue.ask().id
    (queue.root / "p.yaml").unlink()
    queue.ended(run)
    followed_ = llmops("runs", "logs", "-f", run)
    assert followed_.returncode == 1
    assert "p.yaml" in followed_.stderr
    shown = llmops("runs", "show", "last")
    assert "failed" in shown.stdout
    assert f"llmops runs resume {run}" in shown.stderr
    assert [one["id"] for one in json.loads(llmops("runs", "list", "--json").stdout)] == [run]


def test_a_queued_run_is_shown_stopped_and_asked_for_again(queue: Queue, llmops: Llmops) -> None:
    Sign().give(queue.database, time.time())
    run = llmops("run", "p.yaml", "-d", "--until", "offer").stdout.strip()
    shown = llmops("runs", "show", "last").stdout
    for text in ("queued, place 1", "its turn has come", "until offer", "p.yaml"):
        assert text in shown
    assert run in llmops("runs", "list").stdout
    assert llmops("runs", "stop", "last").stdout == f"{run}: cancelled\n"
    assert llmops("runs", "events", run).returncode == 130
    assert llmops("runs", "resume", run).stdout.strip() == run
    assert queue.job(run).state == "queued"


@pytest.mark.slow
def test_what_a_person_agrees_to_goes_on_without_a_scheduler(queue: Queue) -> None:
    asked = MOVE.replace("candidate}", "candidate, approval: true}")
    (queue.root / "p.yaml").write_text(asked, encoding="utf-8")
    run = run_llmops("run", "p.yaml", "-d", cwd=queue.root).stdout.strip()
    until(lambda: queue.job(run).state == "waiting", 60)
    assert run_llmops("approve", "last", "offer", cwd=queue.root).returncode == 0
    until(lambda: queue.job(run).state == "done", 60)
    assert queue.moves() == 1


def test_runs_are_told_by_their_files_while_the_database_is_away(
    queue: Queue, llmops: Llmops, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue.ask().id
    queue.ended(run)
    monkeypatch.setenv("LLMOPS_DATABASE", "postgresql://me@127.0.0.1:1/none")
    for command in ("list", "show"):
        told = llmops("runs", command)
        assert (told.returncode, run in told.stdout) == (0, True)
        assert "what is queued is not known" in told.stderr


def test_a_run_that_is_not_there_is_told_with_the_nearest(queue: Queue, llmops: Llmops) -> None:
    run = queue.ask().id
    assert f"`{run}`" in llmops("runs", "show", f"{run}x").stderr


def test_a_scheduler_elsewhere_lives_while_it_gives_signs(queue: Queue) -> None:
    now = time.time()
    value = json.dumps({"host": "other", "pid": 1, "process_started": "1"})
    row = {"name": "scheduler 1 other", "time": int((now - 30) * 1000), "value": value}
    with writing(queue.database) as connection:
        connection.execute(marks.insert().values(row))
        assert at_work(connection, now, "scheduler")
        assert not at_work(connection, now, "interim")
        assert not at_work(connection, now + SILENT_SECONDS)
    Sign("interim").give(queue.database, now + SILENT_SECONDS)
    with reading(queue.database) as connection:
        names = connection.execute(sa.select(marks.c.name)).scalars().all()
    assert [name.partition(" ")[0] for name in names] == ["interim"]
