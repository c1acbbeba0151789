"""Is a recipe fit for the installed engine? Its options by name, type and value.

The engine itself rejects unknown names only; a wrong type or value fails minutes later, or not at
all. What holds between options is in rules/. Raises BadInput with file, line and key.
"""

from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.options import OptionSet
from llmops.engines.llamafactory.owned import ELSEWHERE, instead
from llmops.engines.llamafactory.rules import RULES
from llmops.engines.llamafactory.rules.case import Case
from llmops.engines.llamafactory.values import check_value
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
        check_value(recipe, option, value, ("args", key))
    _check_template(recipe, known)
    case = Case(recipe, machine, known)
    for rule in RULES:
        rule(case)


def _check_template(recipe: Loaded[TrainRecipe], known: OptionSet) -> None:
    template = recipe.spec.template
    if template is not None and template not in known.templates:
        raise recipe.bad(
            f"`{template}` is not a template of this engine",
            ("template",),
            fix=did_you_mean(template, known.templates)
            or "leave it out: the base's own chat template is used",
        )
