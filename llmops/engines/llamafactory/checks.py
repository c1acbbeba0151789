"""Is a recipe fit for the installed engine? Its options by name, type and value.

The engine itself rejects unknown names only; a wrong type or value fails minutes later, or not at
all. What holds between options is in rules/. Raises BadInput with file, line and key.
"""

from math import isfinite
from typing import Any

from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.options import OptionSet
from llmops.engines.llamafactory.owned import ELSEWHERE, instead
from llmops.engines.llamafactory.rules import RULES
from llmops.engines.llamafactory.rules.case import Case
from llmops.engines.llamafactory.signatures import Option
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe
from llmops.spec.suggest import did_you_mean


def check_options(recipe: Loaded[TrainRecipe], known: OptionSet, machine: Machine) -> None:
    """Raises BadInput at the first option that does not fit."""
    for key, value in recipe.spec.args.items():
        fix = instead(key)
        if fix is not None:
            raise recipe.bad(f"`{key}` is not set in a recipe", ("args", key), fix=fix)
        option = known.options.get(key)
        if option is None:
            fix = ELSEWHERE.get(key) or did_you_mean(key, known.options)
            raise recipe.bad(f"unknown option `{key}`", ("args", key), fix=fix)
        _check_value(recipe, option, value)
    _check_template(recipe, known)
    defaults = {name: option.default for name, option in known.options.items()}
    case = Case(recipe, machine, defaults)
    for rule in RULES:
        rule(case)


def _check_value(recipe: Loaded[TrainRecipe], option: Option, value: Any) -> None:
    place = ("args", option.name)
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
    from llmops.spec.source import parse_scalar

    meant = parse_scalar(value) if value.strip() else None
    return f"without the quotes: {meant}" if meant is not None and _has_type(meant, option) else ""


def _check_template(recipe: Loaded[TrainRecipe], known: OptionSet) -> None:
    template = recipe.spec.template
    if template is not None and template not in known.templates:
        raise recipe.bad(
            f"`{template}` is not a template of this engine",
            ("template",),
            fix=did_you_mean(template, known.templates)
            or "leave it out: the base's own chat template is used",
        )
