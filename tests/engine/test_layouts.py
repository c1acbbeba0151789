"""Every layout of data, compiled and trained for two steps by the real engine.

What the engine trained on is read from its own log, so that a layout that it misreads is seen.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.contract import Command, Environment, ModelFiles
from llmops.engines.llamafactory.engine import LlamaFactory
from llmops.store.atomic import write_text
from llmops.store.run_paths import AttemptPaths
from tests.training_jobs import LAYOUT_ROWS, train_job, train_recipe, write_rows

pytestmark = pytest.mark.engine

QUICK = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "cutoff_len": 128,
    "lora_rank": 4,
}


def run(command: Command, folder: Path) -> str:
    """Write a compiled job and run it; its output."""
    for name, text in command.files.items():
        write_text(folder / name, text)
    with (folder / "log.txt").open("w") as log:
        done = subprocess.run(
            command.argv,
            cwd=folder,
            env={**os.environ, **command.env, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
    text = (folder / "log.txt").read_text()
    assert done.returncode == 0, text[-3000:]
    return text


def contents(prompt: Any) -> list[str]:
    """The texts of a prompt; the engine logs the first sample that it trains on."""
    return [prompt] if isinstance(prompt, str) else [turn["content"] for turn in prompt]


@pytest.mark.parametrize("name", LAYOUT_ROWS)
def test_layout_trains(
    name: str, tmp_path: Path, tiny_base: Path, llamafactory: Environment
) -> None:
    stage, file, rows = LAYOUT_ROWS[name]
    recipe = train_recipe(tmp_path, stage, QUICK, data=write_rows(tmp_path / file, rows))
    engine = LlamaFactory()
    engine.check(recipe, llamafactory)
    job = train_job(recipe, ModelFiles(tiny_base), tmp_path / "attempt")
    log = run(engine.compile_train(job, llamafactory), tmp_path / "attempt")

    result = engine.finished(job.attempt)
    steps = [reading.step for reading in engine.follow(job.attempt).poll()]
    assert (result.kind, result.lora_rank, max(steps)) == ("adapter", 4, 2)
    for asked in contents(job.golden[0]):
        assert asked in log
    assert "Dropped invalid example" not in log
    assert "Skipping this abnormal example" not in log


def test_two_processes_and_validation(
    tmp_path: Path, tiny_base: Path, llamafactory: Environment
) -> None:
    data = write_rows(tmp_path / "a.jsonl", LAYOUT_ROWS["messages"][2])
    recipe = train_recipe(
        tmp_path,
        "sft",
        {**QUICK, "finetuning_type": "full", "eval_strategy": "steps", "eval_steps": 1},
        data=data,
        validation=0.25,
        resources={"devices": 2},
    )
    engine = LlamaFactory()
    job = train_job(recipe, ModelFiles(tiny_base), tmp_path / "attempt")
    log = run(engine.compile_train(job, llamafactory), tmp_path / "attempt")

    result = engine.finished(job.attempt)
    assert "world size: 2" in log
    assert result.kind == "full"
    assert result.metrics["eval_loss"] > 0


def test_preference_training_on_an_adapter(
    tmp_path: Path, tiny_base: Path, llamafactory: Environment
) -> None:
    """The first loss is ln 2 only when the reference model is the base with its adapter."""
    engine = LlamaFactory()
    first = _trained(tmp_path / "one", "sft", ModelFiles(tiny_base), engine, llamafactory)
    base = ModelFiles(tiny_base, adapter=first / "result")
    second = _trained(tmp_path / "two", "dpo", base, engine, llamafactory)

    readings = engine.follow(_attempt(second)).poll()
    losses = [reading.loss for reading in readings if reading.loss is not None]
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert engine.finished(_attempt(second)).lora_rank == 8


def _attempt(folder: Path) -> AttemptPaths:
    return AttemptPaths(folder)


def _trained(
    folder: Path, stage: str, base: ModelFiles, engine: LlamaFactory, environment: Environment
) -> Path:
    """The attempt's directory after training on one layout of `stage`."""
    folder.mkdir()
    name = {"sft": "messages", "dpo": "preference-messages"}[stage]
    data = write_rows(folder / "a.jsonl", LAYOUT_ROWS[name][2])
    args = {**QUICK, "learning_rate": 1e-2}
    recipe = train_recipe(folder, stage, args, data=data)
    job = train_job(recipe, base, folder / "attempt")
    run(engine.compile_train(job, environment), folder / "attempt")
    return folder / "attempt"
