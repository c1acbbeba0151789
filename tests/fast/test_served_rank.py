"""Adapters that the project's own deployments could not load are refused before they are made."""

from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.runner.stage import Context, Node
from llmops.spec.settings import load_settings
from llmops.stages.served import check_rank
from tests.training_jobs import train_recipe

VLLM = (
    "name: {name}\nbackend: {{lora: {{max_rank: 16}}}}\nvariants: {{now: {{model: '{model}'}}}}\n"
)


def declare(root: Path, name: str, text: str) -> None:
    (root / "serving").mkdir(exist_ok=True)
    (root / "serving" / f"{name}.yaml").write_text(text)


def check(root: Path, rank: int | None, model: str = "town") -> None:
    recipe = train_recipe(root, "sft", {"lora_rank": 8})
    check_rank(Node("sft", "train", recipe, recipe.spec), model, rank, Context(load_settings(root)))


def test_a_rank_above_the_servers_is_refused(tmp_path: Path) -> None:
    declare(tmp_path, "town", VLLM.format(name="town", model="town@production"))
    with pytest.raises(BadInput, match="an adapter of rank 24, and the deployment town") as error:
        check(tmp_path, 24)
    assert "set `backend.lora.max_rank: 32` in " in error.value.fix
    assert "args.lora_rank" in error.value.where


@pytest.mark.parametrize("rank", [16, None])
def test_what_it_loads_or_nobody_knows_is_not(rank: int | None, tmp_path: Path) -> None:
    declare(tmp_path, "town", VLLM.format(name="town", model="town@production"))
    check(tmp_path, rank)


def test_a_deployment_that_never_serves_it_has_no_say(tmp_path: Path) -> None:
    declare(tmp_path, "other", VLLM.format(name="other", model="village@production"))
    declare(tmp_path, "fixed", VLLM.format(name="fixed", model="town:v1"))
    far = "name: far\nbackend: {kind: openai, url: 'http://127.0.0.1:1'}\n"
    declare(tmp_path, "far", far + "variants: {now: {model: town@production}}\n")
    check(tmp_path, 24)


def test_a_broken_deployment_is_not_the_recipes_mistake(tmp_path: Path) -> None:
    declare(tmp_path, "broken", "name: broken\nvariants: {now: {modle: x}}\n")
    check(tmp_path, 24)
