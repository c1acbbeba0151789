"""Modules of llmops as syntax: functions, what their names are given, and who calls whom."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "llmops"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Texts = set[str]


@dataclass
class Scope:
    """A function (None: a module's top), in its module and class; names: what is known of its
    parameters."""

    module: "Module"
    function: Function | None = None
    owner: str = ""
    names: dict[str, Texts] = field(default_factory=dict)

    @property
    def id(self) -> tuple[str, str, str]:
        return str(self.module.path), self.owner, self.function.name if self.function else ""

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Those of a function that are not of one inside it; of a module, those outside all."""
        found: list[ast.AST] = [self.function or self.module.tree]
        for node in found:
            inner = ast.iter_child_nodes(node)
            found.extend(n for n in inner if not isinstance(n, Function))
        return found[1:]

    def own(self, *kinds: type) -> Iterator[Any]:
        return (node for node in self.nodes if isinstance(node, kinds))


@dataclass
class Module:
    path: Path
    tree: ast.Module

    def __post_init__(self) -> None:
        self.scopes = [Scope(self), *self._functions(self.tree, "")]
        self.constants = {
            target.id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }

        self.imported = {
            alias.asname or alias.name: node.module
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }

    @property
    def name(self) -> str:
        parts = self.path.relative_to(PACKAGE.parent).with_suffix("").parts
        return ".".join(parts).removesuffix(".__init__")

    def home(self, name: str) -> str:
        """The module that a name called here comes from."""
        return self.imported.get(name, self.name)

    def _functions(self, parent: ast.AST, owner: str) -> Iterator[Scope]:
        for node in ast.iter_child_nodes(parent):
            inner = node.name if isinstance(node, ast.ClassDef) else owner
            if isinstance(node, Function):
                yield Scope(self, node, owner)
            yield from self._functions(node, inner)


def assigned(scope: Scope, name: str) -> Iterator[ast.expr | None]:
    """What a local name is given."""
    for node in scope.own(ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.comprehension):
        if isinstance(node, ast.For | ast.comprehension):
            for row in _rows(node.iter, scope):
                yield from _matched(node.target, row, name)
        else:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from _matched(target, node.value, name)


def _matched(target: ast.expr, value: ast.expr | None, name: str) -> Iterator[ast.expr | None]:
    if isinstance(target, ast.Name) and target.id == name:
        yield value
    elif isinstance(target, ast.Tuple):
        if isinstance(value, ast.IfExp):
            yield from _matched(target, value.body, name)
            yield from _matched(target, value.orelse, name)
        elif isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            for one, inner in zip(target.elts, value.elts, strict=True):
                yield from _matched(one, inner, name)
        elif any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(target)):
            yield None


def _rows(iterated: ast.expr, scope: Scope) -> list[ast.expr | None]:
    """What a loop over a literal goes through, or over a table of the module."""
    if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute):
        table = _table(iterated.func.value, scope)
        if isinstance(table, ast.Dict) and iterated.func.attr == "items":
            pairs = zip(table.keys, table.values, strict=True)
            return [ast.Tuple([k, v], ast.Load()) for k, v in pairs if k is not None]
        return [None]
    table = _table(iterated, scope)
    return list(table.elts) if isinstance(table, ast.Tuple | ast.List) else [None]


def _table(node: ast.expr, scope: Scope) -> ast.expr | None:
    if isinstance(node, ast.Name) and node.id in scope.module.constants:
        return scope.module.constants[node.id]
    return node


def name_of(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return name_of(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return node.id if isinstance(node, ast.Name) else ""


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[position] if position < len(call.args) else None


def parameters(scope: Scope) -> set[str]:
    if scope.function is None:
        return set()
    arguments = scope.function.args
    return {a.arg for a in (*arguments.args, *arguments.kwonlyargs)} - {"self", "cls"}


def given(scope: Scope, call: ast.Call, parameter: str) -> ast.expr | None:
    assert scope.function is not None
    names = [a.arg for a in scope.function.args.args if a.arg not in ("self", "cls")]
    return argument(call, names.index(parameter) if parameter in names else 999, parameter)


def place_of(scope: Scope, node: ast.AST) -> str:
    line = getattr(node, "lineno", 0)
    return f"{scope.module.path.relative_to(ROOT)}:{line}"
