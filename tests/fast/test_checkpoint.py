"""Which checkpoint a later attempt goes on from, and what is removed once all is registered."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from llmops.engines.llamafactory.checkpoint import last_checkpoint, prune
from llmops.store.run_paths import AttemptPaths


def checkpoint(attempt: AttemptPaths, step: int) -> Path:
    folder = attempt.output / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}), encoding="utf-8")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        with ZipFile(folder / name, "w") as file:
            file.writestr("data.pkl", "moments")
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + bytes(8)
    (folder / "adapter_model.safetensors").write_bytes(weights)
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


FILES = [
    "trainer_state.json",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "adapter_model.safetensors",
]


def test_none_of_a_training_that_an_alarm_ended(attempt: AttemptPaths) -> None:
    checkpoint(attempt, 10)
    attempt.stop.write_text("{}")
    assert last_checkpoint(attempt) is None


@pytest.mark.parametrize("missing", FILES)
def test_one_that_is_not_whole_is_passed_over(attempt: AttemptPaths, missing: str) -> None:
    whole = checkpoint(attempt, 5)
    (checkpoint(attempt, 10) / missing).unlink()
    assert last_checkpoint(attempt) == (whole, 5)


@pytest.mark.parametrize("damaged", FILES)
@pytest.mark.parametrize("left", [0, 1, -1])
def test_one_with_a_file_cut_off_is_passed_over(
    attempt: AttemptPaths, damaged: str, left: int
) -> None:
    whole = checkpoint(attempt, 5)
    file = checkpoint(attempt, 10) / damaged
    file.write_bytes(file.read_bytes()[:left])
    assert last_checkpoint(attempt) == (whole, 5)


def test_deepspeeds_folder_has_weights_and_moments(attempt: AttemptPaths) -> None:
    folder = checkpoint(attempt, 5)
    for name in ("optimizer.pt", "scheduler.pt", "adapter_model.safetensors"):
        (folder / name).unlink()
    (folder / "latest").write_text("global_step5", encoding="utf-8")
    assert last_checkpoint(attempt) is None
    (folder / "global_step5").mkdir()
    with ZipFile(folder / "global_step5" / "zero_pp_rank_0_optim_states.pt", "w"):
        pass
    assert last_checkpoint(attempt) == (folder, 5)


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
