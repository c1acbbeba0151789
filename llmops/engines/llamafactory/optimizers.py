"""The optimizers of the installed transformers: what each takes under `optim_args`, and the Python
package that it comes from, read from its source without importing it.

A source laid out in another way has none; then nothing of them is checked.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmops.engines.llamafactory.source import constant, dispatched, members, parsed

SOURCE = "transformers/trainer_optimizer.py"
_NAMES = "transformers/training_args.py"
_HELD = "optim_args"
_PRESENT = ("torch", "transformers")


@dataclass(frozen=True)
class Optimizer:
    """takes: the keys of `optim_args` and what each is made into (`float`, `int`, `strtobool`, or
    `str`); None where all are passed on. package: which it needs besides torch, empty for none."""

    takes: dict[str, str] | None
    package: str = ""


def read_optimizers(site: Path) -> dict[str, Optimizer]:
    """By the name under `optim`."""
    tree, names = parsed(site / SOURCE), parsed(site / _NAMES)
    if tree is None or names is None:
        return {}
    values = members(names).get("OptimizerNames", {})
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = {}
    for member, handler in dispatched(tree):
        if member in values and handler in functions:
            function = functions[handler]
            found[values[member]] = Optimizer(_takes(function), _package(function))
    return found


def _package(function: ast.FunctionDef) -> str:
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            name = node.module.partition(".")[0]
            if name not in _PRESENT:
                return name
    return ""


def _takes(function: ast.FunctionDef) -> dict[str, str] | None:
    """Keys are looked up by `.get`, `.pop`, `in` or `[key]`, in a loop over several too."""
    looked: set[ast.AST] = set()
    found: dict[str, str] = {}
    for node, names, cast in _lookups(function, (), "str"):
        looked.add(node)
        for name in names:
            found[name] = cast if cast != "str" else found.get(name, "str")
    held = [node for node in ast.walk(function) if getattr(node, "attr", "") == _HELD]
    tested = [node.test for node in ast.walk(function) if isinstance(node, ast.If)]
    return found if all(node in looked or node in tested for node in held) else None


def _lookups(
    node: ast.AST, loop: tuple[str, ...], cast: str
) -> Iterator[tuple[ast.AST, tuple[str, ...], str]]:
    """Each use of `optim_args` for certain keys. loop: what the variable of the loop around it
    stands for; cast: what the value is made into."""
    if isinstance(node, ast.For):
        loop = tuple(constant(node.iter) or ())
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        cast = node.func.id if node.func.id in ("float", "int", "strtobool") else cast
    held, key = _use(node)
    if held is not None:
        yield held, (str(key.value),) if isinstance(key, ast.Constant) else loop, cast
    for inner in ast.iter_child_nodes(node):
        yield from _lookups(inner, loop, cast)


def _use(node: ast.AST) -> tuple[ast.AST | None, ast.expr | None]:
    """The `optim_args` and the key of a look-up; None for anything else."""
    held: ast.AST | None = None
    key: ast.expr | None = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        held, key = node.func.value, node.args[0]
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
        held, key = node.comparators[0], node.left
    elif isinstance(node, ast.Subscript):
        held, key = node.value, node.slice
    return (held, key) if getattr(held, "attr", "") == _HELD else (None, None)
