"""Options whose value names a file of the user's: found beside the recipe or from the root."""

import json
from pathlib import Path
from typing import Any

from llmops.spec.load import Loaded, resolve_path
from llmops.spec.recipe import TrainRecipe
from llmops.spec.settings import find_root
from llmops.store.files import read_object

FILE_OPTIONS = (
    "deepspeed",
    "fsdp_config",
    "accelerator_config",
    "hyper_parallel_args",
    "new_special_tokens_config",
)


def option_file(recipe: Loaded[TrainRecipe], key: str) -> Path | None:
    """The file that the option `key` names; None when it is unset or holds its value in place.

    Raises BadInput when the file is not there.
    """
    value = recipe.spec.args.get(key)
    if not isinstance(value, str) or value.lstrip().startswith("{"):
        return None
    root = find_root(recipe.path.resolve().parent)
    found = resolve_path(value, beside=recipe.path.resolve(), root=root)
    if found is None or not found.is_file():
        raise recipe.bad(
            f"there is no file `{value}`",
            ("args", key),
            fix="a path is looked up beside the recipe, then from the project's root",
        )
    return found


def option_object(recipe: Loaded[TrainRecipe], key: str) -> dict[str, Any]:
    """The mapping that the option `key` holds, in place, as JSON text or in a file; empty when it
    is unset or no mapping. Raises BadInput as above."""
    given = recipe.spec.args.get(key)
    file = option_file(recipe, key)
    if file is not None:
        return read_object(file)
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return {}
    return given if isinstance(given, dict) else {}


def zero_of(recipe: Loaded[TrainRecipe]) -> dict[str, Any]:
    """DeepSpeed's `zero_optimization`; empty without it. Raises BadInput as above."""
    zero = option_object(recipe, "deepspeed").get("zero_optimization")
    return zero if isinstance(zero, dict) else {}
