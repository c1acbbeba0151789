"""Options that do nothing are told in the plan, with the reason."""

from pathlib import Path
from typing import Any

import pytest

from llmops.engines.llamafactory.idle import _IDLE, idle
from llmops.engines.llamafactory.options import _load
from llmops.spec.load import load_recipe
from tests.training_jobs import train_recipe

HERE = Path(__file__).parent


def told(folder: Path, args: dict[str, Any]) -> list[str]:
    return idle(train_recipe(folder, "sft", args).spec)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ({"galore_rank": 4}, "`galore_rank` does nothing: `use_galore` is not set"),
        (
            {"max_steps": 9, "num_train_epochs": 2},
            "`num_train_epochs` does nothing: `max_steps` is 9",
        ),
        (
            {"finetuning_type": "full", "lora_rank": 4},
            "`lora_rank` does nothing: `finetuning_type` is full",
        ),
        (
            {"use_reentrant_gc": False, "disable_gradient_checkpointing": True},
            "`use_reentrant_gc` does nothing: `disable_gradient_checkpointing` is true",
        ),
        ({"eval_steps": 5}, "`eval_steps` does nothing: `eval_strategy` is no"),
        (
            {"lr_scheduler_type": "constant", "warmup_steps": 9},
            "`warmup_steps` does nothing: `lr_scheduler_type` is constant",
        ),
    ],
)
def test_what_does_nothing_is_told(tmp_path: Path, args: dict[str, Any], line: str) -> None:
    assert told(tmp_path, args) == [line]


@pytest.mark.parametrize(
    "args",
    [
        {"use_galore": True, "galore_rank": 4},
        {"num_train_epochs": 2, "warmup_steps": 9},
        {"lora_rank": 4, "save_steps": 5, "logging_steps": 1, "optim": "sgd"},
        {"eval_strategy": "steps", "eval_steps": 5},
    ],
)
def test_what_does_something_is_not(tmp_path: Path, args: dict[str, Any]) -> None:
    assert told(tmp_path, args) == []


def test_every_name_is_an_option_of_the_engine() -> None:
    known = _load(HERE / "golden" / "llamafactory-0.9.5-options.json")
    assert known is not None
    for row in _IDLE:
        assert row.needs in known.options
        choices = known.options[row.needs].choices
        assert not choices or set(row.values) <= set(choices)
        assert all(any(key.startswith(name) for key in known.options) for name in row.names)


@pytest.mark.parametrize(
    "path", sorted(HERE.parents[1].glob("recipes/**/*.yaml")), ids=lambda path: path.stem
)
def test_the_shipped_recipes_have_none(path: Path) -> None:
    spec = load_recipe(path).spec
    assert spec.kind != "train" or idle(spec) == []
