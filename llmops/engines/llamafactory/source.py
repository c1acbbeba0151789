"""Python source, read by `ast` without importing it."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def parsed(path: Path) -> ast.Module | None:
    """None for a file that is not there."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except OSError:
        return None


def constant(node: ast.expr | None) -> Any:
    """The value of a literal, or None for anything computed."""
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None


def members(tree: ast.Module) -> dict[str, dict[str, str]]:
    """Of each enumeration in a module: its members and their values."""
    found: dict[str, dict[str, str]] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        if any(getattr(base, "id", "").endswith("Enum") for base in node.bases):
            found[node.name] = {
                ast.unparse(item.targets[0]): str(item.value.value)
                for item in node.body
                if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
            }
    return found


def dispatched(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The tables of a module that tell which function is for which member of an enumeration:
    `Enum.MEMBER: function`, and `**dict.fromkeys(LIST, function)` with a list of the module's."""
    lists: dict[str, list[ast.expr]] = {}
    for node in tree.body:
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign) and isinstance(value, ast.List):
            lists[ast.unparse(node.targets[0])] = value.elts
        elif isinstance(value, ast.Dict):
            yield from _entries(value, lists)


def _entries(table: ast.Dict, lists: dict[str, list[ast.expr]]) -> Iterator[tuple[str, str]]:
    for key, value in zip(table.keys, table.values, strict=True):
        keys = [key] if key is not None else []
        if key is None and isinstance(value, ast.Call) and len(value.args) == 2:
            keys, value = [*lists.get(ast.unparse(value.args[0]), ())], value.args[1]
        for one in keys:
            if isinstance(one, ast.Attribute) and isinstance(value, ast.Name):
                yield one.attr, value.id
