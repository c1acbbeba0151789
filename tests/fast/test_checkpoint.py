"""Which checkpoint a later attempt goes on from, and what is removed once all is registered."""

import json
import os
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest

from llmops.engines.llamafactory.checkpoint import checkpoints, damage, prune, seal_all
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
    assert checkpoints(attempt) == []


def test_they_are_known_by_their_steps(attempt: AttemptPaths) -> None:
    folders = [checkpoint(attempt, step) for step in (9, 10)]
    (attempt.output / "checkpoint-x").mkdir()
    assert sorted(checkpoints(attempt)) == [(9, folders[0]), (10, folders[1])]


def test_none_of_a_training_that_an_alarm_ended(attempt: AttemptPaths) -> None:
    checkpoint(attempt, 10)
    attempt.stop.write_text("{}")
    assert checkpoints(attempt) == []


FILES = [
    "trainer_state.json",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "adapter_model.safetensors",
]


@pytest.mark.parametrize("missing", FILES)
def test_what_is_missing_is_named(attempt: AttemptPaths, missing: str) -> None:
    folder = checkpoint(attempt, 10)
    assert damage(attempt, folder) == ""
    (folder / missing).unlink()
    name = "the weights" if missing.endswith(".safetensors") else missing
    assert damage(attempt, folder).startswith(name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 1, -1])
def test_what_is_cut_off_is_named(attempt: AttemptPaths, name: str, left: int) -> None:
    file = checkpoint(attempt, 10) / name
    file.write_bytes(file.read_bytes()[:left])
    assert name in damage(attempt, file.parent)


@pytest.mark.parametrize("name", [*FILES, "adapter_config.json"])
def test_a_bit_that_flipped_is_seen_by_the_seal(attempt: AttemptPaths, name: str) -> None:
    folder = checkpoint(attempt, 10)
    seal_all(attempt, ended=True)
    assert damage(attempt, folder) == ""
    file = folder / name
    data = bytearray(file.read_bytes())
    for at in range(0, len(data), 1 + len(data) // 8):
        data[at] ^= 1
        file.write_bytes(data)
        assert name in damage(attempt, folder), at
        data[at] ^= 1


def test_what_a_second_process_wrote_is_missed_when_it_was_sealed(attempt: AttemptPaths) -> None:
    folder = checkpoint(attempt, 10)
    (folder / "rng_state.pth").rename(folder / "rng_state_0.pth")
    shutil.copy(folder / "rng_state_0.pth", folder / "rng_state_1.pth")
    seal_all(attempt, ended=True)
    (folder / "rng_state_1.pth").unlink()
    assert damage(attempt, folder) == "rng_state_1.pth is missing"


def test_what_is_still_written_is_not_sealed_yet(attempt: AttemptPaths) -> None:
    folder = checkpoint(attempt, 10)
    seal_all(attempt, ended=False)
    assert not attempt.seal(folder.name).exists()
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    seal_all(attempt, ended=False)
    first = attempt.seal(folder.name).read_bytes()
    (folder / "adapter_config.json").write_text('{"r": 8}')  # written once more
    seal_all(attempt, ended=True)
    assert attempt.seal(folder.name).read_bytes() != first
    assert damage(attempt, folder) == ""


def test_what_has_no_file_yet_is_not_sealed(attempt: AttemptPaths) -> None:
    (attempt.output / "checkpoint-10").mkdir(parents=True)
    seal_all(attempt, ended=False)
    assert not attempt.seal("checkpoint-10").exists()


def test_deepspeeds_folder_has_weights_and_moments(attempt: AttemptPaths) -> None:
    folder = checkpoint(attempt, 5)
    for name in ("optimizer.pt", "scheduler.pt", "adapter_model.safetensors"):
        (folder / name).unlink()
    (folder / "latest").write_text("global_step5", encoding="utf-8")
    assert damage(attempt, folder) == "the folder that `latest` names is empty"
    (folder / "global_step5").mkdir()
    with ZipFile(folder / "global_step5" / "zero_pp_rank_0_optim_states.pt", "w"):
        pass
    assert damage(attempt, folder) == ""


def test_a_state_of_another_step_is_none(attempt: AttemptPaths) -> None:
    folder = checkpoint(attempt, 5)
    (folder / "trainer_state.json").write_text('{"global_step": 4}', encoding="utf-8")
    assert damage(attempt, folder) == "trainer_state.json does not tell of step 5"


def test_none_goes_on_with_a_reward_model(attempt: AttemptPaths) -> None:
    """LLaMA-Factory takes them apart as it saves: of an adapter it then finds no weights, of a full
    model it loads none and says nothing."""
    folder = checkpoint(attempt, 5)
    (folder / "value_head.safetensors").write_bytes(b"x")
    assert damage(attempt, folder) == "the engine does not load the checkpoints of a reward model"


def test_one_of_the_last_step_is_gone_on_from_too(attempt: AttemptPaths) -> None:
    """Its weights are those that were to be saved; the worker takes no step more."""
    folder = checkpoint(attempt, 5)
    state = folder / "trainer_state.json"
    state.write_text('{"global_step": 5, "max_steps": 5}', encoding="utf-8")
    assert damage(attempt, folder) == ""


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
