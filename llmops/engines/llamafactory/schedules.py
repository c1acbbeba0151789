"""The learning-rate schedules of the installed transformers and what each takes under
`lr_scheduler_kwargs`, read from its source without importing it.

A source laid out in another way has none; then nothing of them is checked.
"""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from llmops.engines.llamafactory.signatures import Option, parameters
from llmops.engines.llamafactory.source import constant, dispatched, members, parsed

SOURCE = "transformers/optimization.py"
_NAMES = "transformers/trainer_utils.py"
# What the engine itself hands over.
_GIVEN = ("self", "optimizer", "num_warmup_steps", "num_training_steps", "last_epoch")


def read_schedules(site: Path) -> dict[str, tuple[Option, ...]]:
    """By `lr_scheduler_type`: what may stand under `lr_scheduler_kwargs`."""
    tree, names = parsed(site / SOURCE), parsed(site / _NAMES)
    if tree is None or names is None:
        return {}
    values = members(names).get("SchedulerType", {})
    found = {}
    for member, function in dispatched(tree):
        taker = _taker(function, tree, site)
        if member in values and taker is not None:
            found[values[member]] = tuple(_arguments(taker))
    return found


def _taker(name: str, tree: ast.Module, site: Path) -> ast.FunctionDef | None:
    """The function of that name, or the constructor that it passes its keywords on to."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node if node.args.kwarg is None else _constructor(node, tree, site)
    return None


def _constructor(function: ast.FunctionDef, tree: ast.Module, site: Path) -> ast.FunctionDef | None:
    end = function.body[-1]
    if not (isinstance(end, ast.Return) and isinstance(end.value, ast.Call)):
        return None
    name = getattr(end.value.func, "id", "")
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            tree = parsed(site / f"{(node.module or '').replace('.', '/')}.py") or tree
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            starts = (one for one in node.body if getattr(one, "name", "") == "__init__")
            return next((one for one in starts if isinstance(one, ast.FunctionDef)), None)
    return None


def _arguments(taker: ast.FunctionDef) -> Iterator[Option]:
    listed = dict(_listed(taker))
    for option in parameters(taker):
        if option.name not in _GIVEN:
            # Nothing depends on a number being whole.
            types = tuple("float" if one == "int" else one for one in option.types)
            choices = option.choices or listed.get(option.name, ())
            yield replace(option, group="schedule", types=types, choices=choices)


def _listed(taker: ast.FunctionDef) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The words that an argument is compared with: `if argument not in [...]: raise`."""
    for node in taker.body:
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare)):
            continue
        left, words = node.test.left, constant(node.test.comparators[0])
        if isinstance(left, ast.Name) and isinstance(node.test.ops[0], ast.NotIn) and words:
            yield left.id, tuple(words)
