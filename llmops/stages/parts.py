"""What the fingerprint of a training covers, besides the data that it trains on: all that decides
what it makes, by content and not by path. The output's name is not part of it: it is where one
looks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.registry.locate import Located
from llmops.runner.stage import Context, Pending
from llmops.spec.recipe import TrainRecipe
from llmops.stages.datasets import Item, data_parts
from llmops.store.digest import sha256_json


def option_parts(
    recipe: TrainRecipe, files: Mapping[str, Path], version: str, context: Context
) -> dict[str, str]:
    """The recipe's own words. files: those that options name; version: of the engine."""
    parts = {
        "stage": recipe.stage,
        "engine": f"{recipe.engine} {version}",
        "devices": str(recipe.resources.devices),
    }
    if recipe.template is not None:
        parts["template"] = recipe.template
    for name, value in sorted(recipe.args.items()):
        named = files.get(name)
        parts[f"args.{name}"] = context.digests.file(named) if named else value_part(value)
    parts.update({f"watch.{kind}": "stop" for kind in recipe.watch.stops})
    return parts


def base_parts(recipe: TrainRecipe, base: Located | Pending, context: Context) -> dict[str, str]:
    """What it starts from. A version is on one base for ever; a directory's adapter is not."""
    if isinstance(base, Pending):
        return {"base": f"pending: {base.node}"}
    parts = {"base": base.digest}
    if base.manifest is None and base.base_digest is not None:
        parts["base.base"] = base.base_digest
    if recipe.args.get("trust_remote_code"):
        code = {one.name: context.digests.file(one) for one in base.files.directory.glob("*.py")}
        parts["base.code"] = sha256_json(code)
    return parts


def validation_parts(validation: Sequence[Item] | float | None) -> dict[str, str]:
    if isinstance(validation, float):
        return {"data.validation": str(validation)}
    return data_parts("data.validation", validation or ())


def value_part(value: Any) -> str:
    """An option's value as a part, whatever the order of its keys."""
    return sha256_json(value) if isinstance(value, dict | list) else str(value)
