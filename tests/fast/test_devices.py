"""Which devices there are, and which of them the runs of the queue get."""

import time
from pathlib import Path

import pytest

from llmops.environments.machine import visible_gpus
from llmops.runner.devices import VISIBLE, Free
from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.scheduling.dispatch import Dispatcher
from tests.conftest import run_llmops
from tests.fast.job_queue import MOVE, PAIRS, Queue


@pytest.fixture
def queue(queue: Queue) -> Queue:
    """Of a machine with two GPUs, of which each of its runs needs one."""
    queue.make_heavy()
    queue.dispatcher = Dispatcher(queue.settings, gpus=("0", "1"))
    return queue


def gpus_of(queue: Queue, run: str) -> str:
    """What the process of a run was told."""
    pid = queue.holder(run).pid
    told = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    found = dict(entry.partition(b"=")[::2] for entry in told)
    return found.get(VISIBLE.encode(), b"").decode()


@pytest.mark.slow
def test_two_runs_have_a_gpu_each_and_the_third_waits(queue: Queue) -> None:
    runs = [queue.ask().id for _ in range(3)]
    with queue.hold():
        for run in runs[:2]:
            queue.until(run, "running")
        assert [gpus_of(queue, run) for run in runs[:2]] == ["0", "1"]
        queue.tick()
        assert queue.job(runs[2]).state == "queued"
        queue.runs.stop(runs[0], "cli:test")
        queue.ended(runs[0])
        queue.until(runs[2], "running")
        assert gpus_of(queue, runs[2]) == "0"
        for run in runs[1:]:
            queue.runs.stop(run, "cli:test")
            queue.ended(run)


@pytest.mark.slow
def test_a_gpu_that_a_terminal_has_is_given_to_nobody(queue: Queue) -> None:
    stage = StageRecord(name="sft", kind="train")
    RunLog.begin(queue.runs.paths, "t", "t", [], [stage], gpus=["0"])
    first, second = queue.ask().id, queue.ask().id
    with queue.hold():
        queue.in_its_middle(first)
        assert gpus_of(queue, first) == "1"
        queue.dispatcher.tick(queue.database, time.time())
        assert queue.job(second).state == "queued"
        queue.runs.stop(second, "cli:test")
        queue.runs.stop(first, "cli:test")
        queue.ended(first)


def test_whoever_does_not_say_what_it_has_has_the_first_ones() -> None:
    free = Free(("0", "1", "2"))
    free.use(1)
    assert free.take(1) == ["1"]
    assert free.left == 1


def test_what_others_have_of_other_gpus_counts_for_nothing() -> None:
    free = Free(("2", "3"))
    free.use(2, ("0", "1"))
    assert (free.left, free.take(2)) == (2, ["2", "3"])


def test_without_a_gpu_the_machine_is_the_device() -> None:
    free = Free(())
    assert (free.number, free.left, free.take(1), free.left) == (1, 1, [], 0)


@pytest.mark.parametrize(
    ("present", "given", "found"),
    [
        (2, None, ("0", "1")),
        (8, "5, 6", ("5", "6")),
        (8, "", ()),
        (8, "-1", ()),
        (0, "0", ()),
        (1, "MIG-4f9c", ("MIG-4f9c",)),
    ],
)
def test_gpus_are_those_that_the_process_may_use(
    present: int, given: str | None, found: tuple[str, ...]
) -> None:
    assert visible_gpus(present, given) == found


@pytest.mark.slow
def test_a_terminal_is_told_who_has_its_device(queue: Queue) -> None:
    def said(*stages: str) -> str:
        text = "name: p\nstages:\n" + "".join(stages)
        (queue.root / "p.yaml").write_text(text, encoding="utf-8")
        return run_llmops("run", "p.yaml", cwd=queue.root).stderr

    judged = PAIRS.replace("builders: {votes: {}}", "layout: unpaired\nbuilders: {thumbs: {}}")
    (queue.root / "r.yaml").write_text(judged, encoding="utf-8")
    pairs, move = "  pairs: {recipe: r.yaml}\n", MOVE.partition("stages:\n")[2]
    assert "the device too" not in said(pairs)
    stage = StageRecord(name="sft", kind="train")
    other = RunLog.begin(queue.runs.paths, "t", "t", [], [stage]).record.id
    assert "the device too" not in said(pairs, move)  # its pairs are there, and a move needs none
    (queue.root / "r.yaml").write_text(judged.replace("s: town}", "s: more}"), encoding="utf-8")
    assert f"warning: {other} has the device too: both run at once" in said(pairs)


@pytest.mark.slow
def test_of_two_dispatchers_that_saw_a_device_free_one_gives_it_away(queue: Queue) -> None:
    one, other = (Dispatcher(queue.settings, gpus=("0",)) for _ in range(2))
    queue.dispatcher = one
    first, second = queue.ask().id, queue.ask()
    with queue.hold():
        queue.until(first, "running")
        other._start(queue.database, [second], time.time())  # it had looked before
        assert queue.job(second.id).state == "queued"
        for run in (second.id, first):
            queue.runs.stop(run, "cli:test")
        queue.ended(first)
