"""Which checkpoint a later attempt goes on from, and what is removed once all is registered."""

import json
from pathlib import Path

import pytest

from llmops.engines.llamafactory.checkpoint import last_checkpoint, prune
from llmops.store.run_paths import AttemptPaths


def checkpoint(attempt: AttemptPaths, step: int) -> Path:
    folder = attempt.output / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}), encoding="utf-8")
    (folder / "optimizer.pt").write_bytes(b"moments")
    return folder


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptPaths:
    return AttemptPaths(tmp_path)


def test_no_checkpoint(attempt: AttemptPaths) -> None:
    assert last_checkpoint(attempt) is None


def test_the_furthest_counts_by_number(attempt: AttemptPaths) -> None:
    checkpoint(attempt, 9)
    furthest = checkpoint(attempt, 10)
    assert last_checkpoint(attempt) == (furthest, 10)


@pytest.mark.parametrize("missing", ["trainer_state.json", "optimizer.pt"])
def test_one_that_is_not_whole_is_passed_over(attempt: AttemptPaths, missing: str) -> None:
    whole = checkpoint(attempt, 5)
    (checkpoint(attempt, 10) / missing).unlink()
    assert last_checkpoint(attempt) == (whole, 5)


def test_a_state_of_another_step_is_passed_over(attempt: AttemptPaths) -> None:
    folder = checkpoint(attempt, 5)
    (folder / "trainer_state.json").write_text('{"global_step": 4}', encoding="utf-8")
    assert last_checkpoint(attempt) is None


def test_figures_stay_when_weights_go(attempt: AttemptPaths) -> None:
    checkpoint(attempt, 5)
    attempt.result.mkdir()
    for name in ("model.safetensors", "training_args.bin", "all_results.json"):
        (attempt.output / name).write_bytes(b"x")
    attempt.log.write_text("log", encoding="utf-8")
    prune(attempt)
    assert [p.name for p in attempt.output.iterdir()] == ["all_results.json"]
    assert not attempt.result.exists()
    assert attempt.log.exists()
