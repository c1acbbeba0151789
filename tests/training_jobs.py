"""Training jobs for tests: a recipe and its data on disk, loaded and inspected as a plan does."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.data.inspect import inspect_data
from llmops.data.layouts import STAGE_LAYOUTS
from llmops.engines.contract import Environment, ModelFiles, TrainJob
from llmops.spec.load import Loaded, load_recipe
from llmops.spec.recipe import TrainRecipe
from llmops.store.run_paths import AttemptPaths

USER = {"role": "user", "content": "What is 2 + 2?"}
GOOD = {"role": "assistant", "content": "4"}
BAD = {"role": "assistant", "content": "It is 5."}
SYSTEM = {"role": "system", "content": "Be brief."}
HUMAN = {"from": "human", "value": "What is 2 + 2?"}
GPT = {"from": "gpt", "value": "4"}
WORSE = {"from": "gpt", "value": "It is 5."}
QUESTION = {"instruction": "Add.", "input": "2 and 2", "output": "4", "system": None}

# name: stage, file name, rows. Every layout, as the engine reads it and as it must be converted.
LAYOUT_ROWS: dict[str, tuple[str, str, Any]] = {
    "text": ("cpt", "a.jsonl", {"text": "One and one is two. " * 8}),
    "text-blank": ("cpt", "a.txt", "One and one is two, two and two is four.\n\n" * 8),
    "messages": ("sft", "a.jsonl", {"messages": [SYSTEM, USER, GOOD]}),
    "sharegpt": ("sft", "a.json", {"conversations": [HUMAN, GPT], "system": "Be brief."}),
    "alpaca": ("sft", "a.json", {**QUESTION, "history": [["Hi", "Hello"]]}),
    "alpaca-numbers": ("sft", "a.csv", "instruction,output\n" + "1 + 1 =,2\n" * 8),
    "preference": ("dpo", "a.jsonl", {"prompt": "2 + 2?", "chosen": "4", "rejected": "It is 5."}),
    "preference-messages": ("dpo", "a.json", {"messages": [USER], "chosen": GOOD, "rejected": BAD}),
    "preference-sharegpt": (
        "dpo",
        "a.json",
        {"conversations": [HUMAN], "chosen": GPT, "rejected": WORSE},
    ),
    "preference-strings": ("dpo", "a.json", {"messages": [USER], "chosen": "4", "rejected": "5"}),
    "preference-lists": ("dpo", "a.json", {"chosen": [USER, GOOD], "rejected": [USER, BAD]}),
    "kto": ("kto", "a.jsonl", {"prompt": "2 + 2?", "completion": "4", "label": True}),
    "kto-messages": ("kto", "a.json", {"messages": [USER, GOOD], "label": False}),
}


def write_rows(path: Path, rows: Any) -> Path:
    """A data file of 8 rows: text as it is, else the row eight times, or the rows of a list."""
    if isinstance(rows, str):
        path.write_text(rows, encoding="utf-8")
        return path
    many = rows if isinstance(rows, list) else [rows] * 8
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(row) + "\n" for row in many)
    else:
        text = json.dumps(many)
    path.write_text(text, encoding="utf-8")
    return path


def train_recipe(
    folder: Path,
    stage: str = "sft",
    args: Mapping[str, Any] | None = None,
    *,
    data: Path | None = None,
    validation: Any = None,
    **more: Any,
) -> Loaded[TrainRecipe]:
    """A loaded recipe, written with each of `args` on a line of its own (JSON is YAML)."""
    spec: dict[str, Any] = {
        "kind": "train",
        "stage": stage,
        "base": "path:base",
        "data": {"train": [{"path": str(data or "a.jsonl")}]},
        "output": {"model": "town"},
        **more,
    }
    if validation is not None:
        spec["data"]["validation"] = validation
    lines = [f"{key}: {json.dumps(value)}" for key, value in spec.items()]
    if args:
        lines += ["args:", *(f"  {key}: {json.dumps(value)}" for key, value in args.items())]
    path = folder / f"{stage}.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    loaded: Loaded[TrainRecipe] = load_recipe(path)
    return loaded


def train_job(recipe: Loaded[TrainRecipe], base: ModelFiles, attempt: Path) -> TrainJob:
    """The job that a plan would make of `recipe` on `base`."""
    spec = recipe.spec
    wanted = STAGE_LAYOUTS[spec.stage]
    sets = [
        inspect_data(
            file,
            Path(file.path),
            where=recipe.source.where(("data", "train", place, "path")),
            wanted=wanted,
        )
        for place, file in enumerate(spec.data.train)
    ]
    validation: Any = spec.data.validation
    if isinstance(validation, Sequence):
        validation = [inspect_data(f, Path(f.path), wanted=wanted) for f in validation]
    golden = [prompt for data in sets for prompt in data.first_prompts[:2]]
    return TrainJob(recipe, base, sets, validation, AttemptPaths(attempt), golden)


def bare_environment(folder: Path) -> Environment:
    """An environment without an engine in it, for compiling: only its paths matter."""
    site = folder / "environment" / "site-packages"
    (site / "tensorboard").mkdir(parents=True)
    return Environment("llamafactory", "0.9.5", folder / "environment/bin/python", site)
