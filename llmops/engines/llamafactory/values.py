"""Does a value fit an option? By type and, where the engine lists them, by word."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from llmops.engines.llamafactory.signatures import Option
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe
from llmops.spec.source import parse_scalar
from llmops.spec.suggest import did_you_mean


def check_value(
    recipe: Loaded[TrainRecipe], option: Option, value: Any, place: Sequence[str | int]
) -> None:
    """Raises BadInput at `place`."""
    if not _has_type(value, option):
        expected = " or ".join(_in_words(option))
        raise recipe.bad(
            f"expected {expected}, found {value!r}", place, fix=_unquote(value, option)
        )
    if isinstance(value, str) and option.choices and value not in option.choices:
        listed = ", ".join(f"`{choice}`" for choice in option.choices)
        fix = did_you_mean(value, option.choices, listing=0)
        raise recipe.bad(f"`{value}` is not one of {listed}", place, fix=fix)
    if isinstance(value, float) and not isfinite(value):
        raise recipe.bad(f"expected a number, found {value}", place)


def _has_type(value: Any, option: Option) -> bool:
    types = option.types
    if "any" in types:
        return True
    match value:
        case None:
            return "None" in types
        case bool():
            return "bool" in types
        case int():
            return "int" in types or "float" in types
        case float():
            return "float" in types
        case str():
            return "str" in types
        case list():
            return "list" in types or (option.joined and all(isinstance(v, str) for v in value))
        case _:
            return type(value).__name__ in types


def _in_words(option: Option) -> list[str]:
    words = {
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "str": "text",
        "dict": "a mapping",
        "list": "a list",
        "None": "null",
    }
    return [words[name] for name in option.types] + (["a list of text"] if option.joined else [])


def _unquote(value: Any, option: Option) -> str:
    if not isinstance(value, str) or "str" in option.types:
        return ""
    meant = parse_scalar(value) if value.strip() else None
    return f"without the quotes: {meant}" if meant is not None and _has_type(meant, option) else ""
