"""What is killed between any two steps: nothing is lost, and nothing runs twice."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmops.errors import BadInput
from llmops.scheduling.dispatch import Dispatcher
from llmops.scheduling.holder import read_holder
from llmops.scheduling.settle import LEASE_SECONDS
from tests.conftest import run_llmops
from tests.fast.job_queue import Queue
from tests.fast.town_project import rated, write_log
from tests.processes import end_of
from tests.waiting import until

pytestmark = pytest.mark.slow

RELEASE = """\
name: p
stages:
  go: {promote: "town:v2", to: production, when: "experiment:town"}
"""


@pytest.fixture
def waiting(queue: Queue) -> Queue:
    """Its runs wait for an experiment that nobody has taken part in yet."""
    queue.write(RELEASE)
    return queue


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert end_of([pid]) == []


def test_a_dispatcher_that_is_killed_before_it_starts_a_process(queue: Queue) -> None:
    job = queue.ask()
    assert queue.turning("before").wait(30) == -signal.SIGKILL
    queue.tick()
    assert queue.job(job.id).state == "starting"
    queue.later = LEASE_SECONDS + 1
    found = queue.ended(job.id)
    assert (found.state, found.tries, queue.moves()) == ("done", 2, 1)


def test_a_dispatcher_that_is_killed_after_it_started_a_process(queue: Queue) -> None:
    job = queue.ask()
    assert queue.turning("after").wait(30) == -signal.SIGKILL
    found = queue.ended(job.id)
    assert (found.state, found.tries, queue.moves()) == ("done", 1, 1)


def test_a_run_outlives_its_dispatcher_and_is_adopted_by_the_next(queue: Queue) -> None:
    job = queue.ask()
    with queue.hold():
        dispatcher = queue.turning()
        until(lambda: queue.job(job.id).state == "running", seconds=30)
        holder = queue.in_its_middle(job.id)
        os.killpg(dispatcher.pid, signal.SIGKILL)  # as a terminal's Ctrl-C: all of the group
        dispatcher.wait(30)
        queue.later = 10 * LEASE_SECONDS
        queue.tick()
        assert (queue.job(job.id).state, queue.job(job.id).pid) == ("running", holder.pid)
    found = queue.ended(job.id)
    assert (found.state, found.tries, queue.moves()) == ("done", 1, 1)


def test_a_run_that_is_killed_goes_on_once_and_then_has_died(queue: Queue) -> None:
    job = queue.ask()
    with queue.hold():
        kill(queue.in_its_middle(job.id).pid)
        assert queue.until(job.id, "starting", "died").tries == 2
        kill(queue.in_its_middle(job.id).pid)
        found = queue.ended(job.id)
    assert (found.state, found.error) == ("died", "its process was killed, 2 times")
    assert queue.record(job.id).state == "died"


def test_a_person_may_ask_for_what_has_died_again(queue: Queue) -> None:
    job = queue.ask()
    with queue.hold():
        for _ in range(2):
            kill(queue.in_its_middle(job.id).pid)
            queue.until(job.id, "queued", "starting", "died")
        queue.until(job.id, "died")
        queue.runs.resume(job.id, "cli:test")
        kill(queue.in_its_middle(job.id).pid)
    assert (queue.ended(job.id).state, queue.moves()) == ("done", 1)


def test_a_second_process_for_a_job_ends_at_once(queue: Queue) -> None:
    job = queue.ask()
    with queue.hold():
        holder = queue.in_its_middle(job.id)
        argv = [sys.executable, "-m", "llmops.scheduling.job", job.id, "1"]
        second = subprocess.run(argv, cwd=queue.root, capture_output=True, text=True, timeout=30)
        assert (second.returncode, "another process has it" in second.stderr) == (0, True)
        assert queue.holder(job.id) == holder
    assert (queue.ended(job.id).state, queue.moves()) == ("done", 1)


def test_what_runs_is_stopped_in_order_and_goes_on_when_asked(queue: Queue) -> None:
    job = queue.ask()
    with queue.hold():
        holder = queue.in_its_middle(job.id)
        assert queue.runs.stop(job.id, "cli:test") == "stopping"
        assert end_of([holder.pid]) == []
        assert queue.ended(job.id).state == "interrupted"
        assert queue.record(job.id).state == "interrupted"
    queue.runs.resume(job.id, "cli:test")
    assert (queue.ended(job.id).state, queue.moves()) == ("done", 1)


def test_what_the_system_ends_goes_on_by_itself(queue: Queue) -> None:
    job = queue.ask()
    with queue.hold():
        holder = queue.in_its_middle(job.id)
        os.kill(holder.pid, signal.SIGTERM)
        assert end_of([holder.pid]) == []
    assert (queue.ended(job.id).state, queue.moves()) == ("done", 1)


def test_a_stop_is_heard_by_a_process_that_is_on_its_way(queue: Queue) -> None:
    job = queue.ask()
    assert queue.turning("after").wait(30) == -signal.SIGKILL
    queue.runs.stop(job.id, "cli:test")
    assert queue.ended(job.id).state == "interrupted"
    assert queue.moves() == 0


def test_a_run_that_waits_is_asked_again_in_its_time(waiting: Queue) -> None:
    job = waiting.ask()
    found = waiting.until(job.id, "waiting")
    assert found.look_at is not None
    waiting.tick()
    assert waiting.job(job.id).state == "waiting"
    write_log(waiting.root, rated(300, (0.2, 0.8)))
    waiting.later = found.look_at / 1000 - time.time() + 1
    found = waiting.ended(job.id)
    assert (found.state, found.tries) == ("done", 2)
    assert waiting.registry.aliases("town")["production"] == 2


def test_a_run_that_waits_is_stopped(waiting: Queue) -> None:
    job = waiting.ask()
    waiting.until(job.id, "waiting")
    assert waiting.runs.stop(job.id, "cli:test") == "interrupted"
    assert waiting.record(job.id).state == "interrupted"


def test_a_run_of_a_terminal_gets_a_job_when_it_is_resumed(waiting: Queue) -> None:
    assert run_llmops("run", "p.yaml", cwd=waiting.root).returncode == 0
    run = run_llmops("runs", "show", "--json", cwd=waiting.root).stdout.split('"')[3]
    write_log(waiting.root, rated(300, (0.2, 0.8)))
    assert waiting.runs.resume(run, "cli:test").resume
    assert waiting.ended(run).state == "done"
    with pytest.raises(BadInput, match="is done"):
        waiting.runs.resume(run, "cli:test")


def test_a_run_of_a_terminal_is_stopped(queue: Queue) -> None:
    with queue.hold():
        argv = [sys.executable, "-m", "llmops", "run", "p.yaml"]
        terminal = subprocess.Popen(argv, cwd=queue.root, stderr=subprocess.PIPE, text=True)
        assert terminal.stderr is not None
        run = terminal.stderr.readline().split()[1].rstrip(":")
        assert queue.runs.stop(run, "cli:test") == "stopping"
        assert terminal.wait(30) == 130
        terminal.stderr.close()


def test_a_device_has_one_run_at_a_time(queue: Queue) -> None:
    """Also when a terminal has it, and with several dispatchers."""
    queue.make_heavy()
    first, second = queue.ask(), queue.ask()
    assert (first.devices, second.devices) == (1, 1)
    with queue.hold():
        queue.in_its_middle(first.id)
        other = Dispatcher(queue.settings, gpus=())
        other.tick(queue.database, time.time())
        assert queue.job(second.id).state == "queued"
        queue.runs.stop(second.id, "cli:test")
        queue.runs.stop(first.id, "cli:test")
        queue.ended(first.id)


def test_what_is_on_its_way_everywhere_comes_to_its_end_once(queue: Queue) -> None:
    """Twelve runs, a dispatcher that is killed once it started one, and three that go on."""
    asked = [queue.ask().id for _ in range(12)]
    queue.turning("after").wait(30)
    turning = [queue.turning(), queue.turning()]
    with ThreadPoolExecutor(1) as pool:
        found = list(pool.map(queue.ended, asked))
    for process in turning:
        process.kill()
        process.wait(30)
    assert [(job.state, job.tries) for job in found] == [("done", 1)] * 12
    assert all(read_holder(queue.runs.paths.run(run)) is not None for run in asked)


def test_what_died_where_no_scheduler_saw_it_can_be_asked_for_again(queue: Queue) -> None:
    run = queue.ask().id
    with queue.hold():
        kill(queue.in_its_middle(run).pid)
        assert queue.job(run).state == "running"  # nobody looked
        assert queue.runs.resume(run, "cli:test").state == "queued"
    found = queue.ended(run)
    assert (found.state, found.tries) == ("done", 2)
