"""What users are told, read from the source by `ast`: the templates of all errors, each value `…`.

A message is what an error class is made with: a constant, an f-string, a sum, a choice, a local
name or a constant of the module, or what a function returns; where a function only passes on what
it is given, its callers are read. A message that is nothing but a value is not known here.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "llmops"
VALUE = "…"
MOST = 16
"""Texts of one expression; with more it is a value."""
SAID_IN = ("what", "message", "text")
"""What classes and functions call the argument that holds the message."""
MORE = {"Finding": "what", "Cause": "text", "Installed": "broken"}
"""Classes that are no errors and hold messages, and the field that does."""

FUNCTIONS = {"_bad"}
"""That make an answer of a message (gateway/exchange.py)."""
_OF_BUILTINS = {*dir(dict), *dir(str), *dir(list), *dir(set), *dir(Path)}
ROOTS = {"Exception", "ValueError", "RuntimeError"}

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


class Messages:
    """found: places by template."""

    def __init__(self, package: Path = PACKAGE) -> None:
        files = [f for f in sorted(package.rglob("*.py")) if "migrations" not in f.parts]
        self.modules = [Module(f, ast.parse(f.read_text(encoding="utf-8"))) for f in files]
        self.scopes = [scope for module in self.modules for scope in module.scopes]
        self.classes = {
            (module.name, node.name): (module, node)
            for module in self.modules
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ClassDef)
        }
        self.class_names = {name for _, name in self.classes}
        self.functions: dict[str, list[Scope]] = {}
        for scope in self.scopes:
            if scope.function is not None:
                self.functions.setdefault(scope.function.name, []).append(scope)
        self.calls: dict[str, list[tuple[Scope, ast.Call]]] = {}
        for scope in self.scopes:
            for call in scope.own(ast.Call):
                self.calls.setdefault(_name(call.func), []).append((scope, call))
        self.found: dict[str, set[str]] = {}
        self.values: set[str] = set()
        for calls in list(self.calls.values()):
            for scope, call in calls:
                if (said := self._made(call, scope.module)) is not None:
                    self._record(said, scope, _place(scope, call), ())

    def _made(self, call: ast.Call, module: Module) -> ast.expr | None:
        """The message of a call that makes an error."""
        name = _name(call.func)
        if isinstance(call.func, ast.Call):  # a class that is chosen among several
            chosen = (*call.func.args, call.func.func)
            name = next((_name(n) for n in chosen if self._is_error(_name(n), module)), "")
        if any(isinstance(a, ast.Constant) and a.value == "ok" for a in call.args):
            return None  # of a Finding
        if name in FUNCTIONS:
            return _argument(call, 0, "what")
        if name == "ValueError" or name in MORE or self._is_error(name, module):
            return _argument(call, *self._said_in(name, module))
        return None

    def _class(self, name: str, module: Module) -> tuple[Module, ast.ClassDef] | None:
        return self.classes.get((module.home(name), name))

    def _is_error(self, name: str, module: Module) -> bool:
        found = self._class(name, module)
        if found is None:
            return False
        home, node = found
        bases = [_name(base) for base in node.bases]
        return any(b in ROOTS or (b != name and self._is_error(b, home)) for b in bases)

    def _said_in(self, name: str, module: Module) -> tuple[int, str]:
        """Position and name of a class's message."""
        found = self._class(name, module)
        while found is not None:
            module, node = found
            for inner in node.body:
                if isinstance(inner, Function) and inner.name == "__init__":
                    return _position([a.arg for a in inner.args.args[1:]])
            fields = [
                i.target.id
                for i in node.body
                if isinstance(i, ast.AnnAssign) and isinstance(i.target, ast.Name)
            ]
            if fields and node.name in MORE:
                return fields.index(MORE[node.name]), MORE[node.name]
            base = _name(node.bases[0]) if node.bases else ""
            found = self._class(base, module) if base != node.name else None
        return 0, "what"

    def _record(self, said: ast.expr, scope: Scope, place: str, seen: tuple[Any, ...]) -> None:
        """What `said` is in `scope`; where it is what the function is given, what callers give."""
        given = _parameters(scope) & {n.id for n in ast.walk(said) if isinstance(n, ast.Name)}
        assert scope.function is not None or not given
        told, untold = False, False  # by callers
        if given and scope.function is not None and scope.id not in seen:
            for caller, call in self._calls(scope):
                exprs = {p: e for p in given if (e := _given(scope, call, p)) is not None}
                names = {p: self.texts(e, caller) for p, e in exprs.items()}
                if any(_told(t) for texts in names.values() for t in texts):
                    told = True
                    self._keep(self.texts(said, replace(scope, names=names)), _place(caller, call))
                elif isinstance(said, ast.Name) and said.id in exprs:
                    self._record(exprs[said.id], caller, _place(caller, call), (*seen, scope.id))
                else:
                    untold = True
        if untold or not told:
            self._keep(self.texts(said, scope), place)

    def _keep(self, texts: Texts, place: str) -> None:
        for text in texts:
            if _told(text):
                self.found.setdefault(text, set()).add(place)
            else:
                self.values.add(place)

    def _calls(self, scope: Scope) -> Iterator[tuple[Scope, ast.Call]]:
        assert scope.function is not None
        for caller, call in self.calls.get(scope.function.name, ()):
            if self._meant(call, caller, scope):
                yield caller, call

    def _meant(self, call: ast.Call, caller: Scope, scope: Scope) -> bool:
        """Whether a call of that name is one of this function, as far as can be told."""
        if isinstance(call.func, ast.Name):
            return not scope.owner and scope.module.name == caller.module.home(call.func.id)
        assert isinstance(call.func, ast.Attribute)
        if call.func.attr in _OF_BUILTINS:
            return False
        receiver = _name(call.func.value)
        if receiver == "self":
            return caller.owner == scope.owner
        arguments = caller.function.args.args if caller.function else []
        typed = next((a.annotation for a in arguments if a.arg == receiver), None)
        kind = _name(typed.value if isinstance(typed, ast.Subscript) else typed)
        return kind == scope.owner or kind not in self.class_names

    def texts(
        self, node: ast.expr | None, scope: Scope, depth: int = 0, calls: bool = True
    ) -> Texts:
        """All that an expression may be."""
        if depth > 8 or node is None:
            return {VALUE}

        def one(inner: ast.expr, calls: bool = calls) -> Texts:
            return self.texts(inner, scope, depth + 1, calls)

        match node:
            case ast.Constant(value=str() as text):
                return {text}
            case ast.JoinedStr(values=parts):
                return _joined([one(part, False) for part in parts])
            case ast.FormattedValue(value=value, conversion=-1):
                # A word in a sentence is a value: which one it is stands in the table beside it.
                return {t if " " in t.strip() or not t else VALUE for t in one(value, False)}
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return _joined([one(left), one(right)])
            case ast.IfExp(body=body, orelse=other):
                return one(body) | one(other)
            case ast.BoolOp(op=ast.Or(), values=values):
                return set().union(*(one(value) for value in values))
            case ast.NamedExpr(value=value):
                return one(value)
            case ast.Name(id=name):
                return self._named(name, scope, depth)
            case ast.Call(func=ast.Attribute(value=value, attr="rstrip")):
                return one(value)
            case ast.Call(func=ast.Name(id=name)) if calls and name in self.functions:
                return self._returned(node, scope, depth)
        return {VALUE}

    def _named(self, name: str, scope: Scope, depth: int) -> Texts:
        if name in scope.names:
            return scope.names[name]
        if name in _parameters(scope):
            return {VALUE}
        found: Texts = set()
        if scope.function is not None:
            itself = replace(scope, names={**scope.names, name: {VALUE}})
            for value in _assigned(scope, name):
                found |= self.texts(value, itself, depth + 1, False)
        if not found and name in scope.module.constants:
            found = self.texts(scope.module.constants[name], Scope(scope.module), depth + 1, False)
        return found if 0 < len(found) <= MOST else {VALUE}

    def _returned(self, call: ast.Call, scope: Scope, depth: int) -> Texts:
        home = scope.module.home(_name(call.func))
        here = [s for s in self.functions[_name(call.func)] if s.module.name == home]
        found: Texts = set()
        for inner in here:
            names = {
                p: self.texts(e, scope, depth + 1)
                for p in _parameters(inner)
                if (e := _given(inner, call, p)) is not None
            }
            for node in inner.own(ast.Return):
                found |= self.texts(node.value, replace(inner, names=names), depth + 1)
        return found or {VALUE}

    def returned(self, path: str, *names: str) -> dict[str, set[str]]:
        """What functions of a file return, for those that tell without an error."""
        told = Messages.__new__(Messages)
        told.__dict__ = {**self.__dict__, "found": {}, "values": set()}
        for scope in self.scopes:
            if not str(scope.module.path).endswith(path) or scope.function is None:
                continue
            for node in scope.own(ast.Return) if scope.function.name in names else ():
                first = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
                if first is not None:
                    told._record(first, scope, _place(scope, node), ())
        return told.found


def _assigned(scope: Scope, name: str) -> Iterator[ast.expr | None]:
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


def _joined(parts: list[Texts]) -> Texts:
    parts = [texts - {""} if VALUE in texts else texts for texts in parts]
    number = 1
    for texts in parts:
        number *= len(texts)
    if number > MOST:
        parts = [texts if len(texts) == 1 else {VALUE} for texts in parts]
    return {re.sub(f"{VALUE}( ?{VALUE})+", VALUE, "".join(one)) for one in product(*parts)}


def _told(text: str) -> bool:
    """Whether there are words in it, not values alone."""
    return any(c.isalpha() for c in text.replace(VALUE, ""))


def _name(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return node.id if isinstance(node, ast.Name) else ""


def _position(names: list[str]) -> tuple[int, str]:
    return next(((i, n) for i, n in enumerate(names) if n in SAID_IN), (0, "what"))


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[position] if position < len(call.args) else None


def _parameters(scope: Scope) -> set[str]:
    if scope.function is None:
        return set()
    arguments = scope.function.args
    return {a.arg for a in (*arguments.args, *arguments.kwonlyargs)} - {"self", "cls"}


def _given(scope: Scope, call: ast.Call, parameter: str) -> ast.expr | None:
    assert scope.function is not None
    names = [a.arg for a in scope.function.args.args if a.arg not in ("self", "cls")]
    return _argument(call, names.index(parameter) if parameter in names else 999, parameter)


def _place(scope: Scope, node: ast.AST) -> str:
    line = getattr(node, "lineno", 0)
    return f"{scope.module.path.relative_to(ROOT)}:{line}"
