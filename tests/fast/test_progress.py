"""Following the files of a running attempt."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.llamafactory.progress import Follower, seconds
from llmops.store.run_paths import AttemptPaths

STEP = {
    "current_steps": 5,
    "total_steps": 20,
    "loss": 2.5,
    "lr": 1e-3,
    "accuracy": 0.75,
    "remaining_time": "0:01:30",
    "throughput": 1234.5,
}


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptPaths:
    found = AttemptPaths(tmp_path)
    found.output.mkdir()
    return found


def add(path: Path, *lines: Any) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_nothing_yet(attempt: AttemptPaths) -> None:
    assert Follower(attempt).poll() == []


def test_a_step(attempt: AttemptPaths) -> None:
    add(attempt.output / "trainer_log.jsonl", STEP)
    (reading,) = Follower(attempt).poll()
    assert (reading.phase, reading.step, reading.total) == ("training", 5, 20)
    assert (reading.loss, reading.learning_rate) == (2.5, 1e-3)
    assert (reading.tokens_per_s, reading.remaining_s) == (1234.5, 90.0)
    assert reading.values == {"accuracy": 0.75}


def test_the_worker_s_figures_join_their_step(attempt: AttemptPaths) -> None:
    add(attempt.figures, {"step": 5, "grad_norm": 0.5}, {"step": 10, "grad_norm": 0.7})
    add(attempt.output / "trainer_log.jsonl", STEP, {**STEP, "current_steps": 10})
    found = [reading.values for reading in Follower(attempt).poll()]
    assert found == [{"accuracy": 0.75, "grad_norm": 0.5}, {"accuracy": 0.75, "grad_norm": 0.7}]


def test_a_count_of_tokens_that_makes_no_sense_is_none(attempt: AttemptPaths) -> None:
    add(attempt.output / "trainer_log.jsonl", {**STEP, "throughput": -1.07e23})
    assert Follower(attempt).poll()[0].tokens_per_s is None


def test_only_what_is_new(attempt: AttemptPaths) -> None:
    follower = Follower(attempt)
    add(attempt.output / "trainer_log.jsonl", STEP)
    follower.poll()
    add(attempt.output / "trainer_log.jsonl", {**STEP, "current_steps": 6})
    assert [reading.step for reading in follower.poll()] == [6]


def test_a_log_that_was_replaced_is_read_from_its_start(attempt: AttemptPaths) -> None:
    follower, log = Follower(attempt), attempt.output / "trainer_log.jsonl"
    add(log, STEP, {**STEP, "current_steps": 10})
    follower.poll()
    log.write_text(json.dumps({**STEP, "current_steps": 1}) + "\n")
    assert [reading.step for reading in follower.poll()] == [1]


def test_how_many_steps_there_are_is_remembered(attempt: AttemptPaths) -> None:
    add(attempt.output / "trainer_log.jsonl", STEP, {"current_steps": 6, "loss": 2.0})
    assert Follower(attempt).poll()[-1].total == 20


def test_torn_line_is_read_when_it_is_whole(attempt: AttemptPaths) -> None:
    follower, text = Follower(attempt), json.dumps(STEP) + "\n"
    log = attempt.output / "trainer_log.jsonl"
    log.write_text(text[:30])
    assert follower.poll() == []
    log.write_text(text)
    assert [reading.step for reading in follower.poll()] == [5]


def test_damaged_line_is_passed_over(attempt: AttemptPaths) -> None:
    log = attempt.output / "trainer_log.jsonl"
    log.write_text("{torn\n[]\n")
    add(log, STEP)
    assert [reading.step for reading in Follower(attempt).poll()] == [5]


def test_phases_stand_around_the_steps(attempt: AttemptPaths) -> None:
    phases = ("starting", "training", "saving", "checking", "done")
    add(attempt.phases, *({"phase": phase, "time": 1.0} for phase in phases))
    add(attempt.output / "trainer_log.jsonl", STEP)
    found = [(reading.phase, reading.step) for reading in Follower(attempt).poll()]
    assert found == [
        ("starting", 0),
        ("training", 0),
        ("training", 5),
        ("saving", 5),
        ("checking", 5),
        ("done", 5),
    ]


def test_evaluation_keeps_the_last_loss(attempt: AttemptPaths) -> None:
    evaluation = {"current_steps": 5, "total_steps": 20, "eval_loss": 2.0}
    add(attempt.output / "trainer_log.jsonl", STEP, evaluation)
    last = Follower(attempt).poll()[-1]
    assert (last.loss, last.values) == (2.5, {"eval_loss": 2.0})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0:00:05", 5), ("1:02:03", 3723), ("1 day, 0:00:01", 86401), ("2 days, 1:00:00", 176400)],
)
def test_time_left(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", [None, "", "soon", 5])
def test_no_time_left(text: Any) -> None:
    assert seconds(text) is None
