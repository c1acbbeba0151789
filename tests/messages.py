"""What users are told, read from the source by `ast`: the templates of all errors, each value `…`.

A message is what an error class is made with: a constant, an f-string, a sum, a choice, a local
name or a constant of the module, or what a function returns; where a function only passes on what
it is given, its callers are read. A message that is nothing but a value is not known here.
"""

import ast
import re
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from tests.syntax import (
    PACKAGE,
    Function,
    Module,
    Scope,
    Texts,
    argument,
    assigned,
    given,
    name_of,
    parameters,
    place_of,
)

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
                self.calls.setdefault(name_of(call.func), []).append((scope, call))
        self.found: dict[str, set[str]] = {}
        self.values: set[str] = set()
        for calls in list(self.calls.values()):
            for scope, call in calls:
                if (said := self._made(call, scope.module)) is not None:
                    self._record(said, scope, place_of(scope, call), ())

    def _made(self, call: ast.Call, module: Module) -> ast.expr | None:
        """The message of a call that makes an error."""
        name = name_of(call.func)
        if isinstance(call.func, ast.Call):  # a class that is chosen among several
            chosen = (*call.func.args, call.func.func)
            name = next((name_of(n) for n in chosen if self._is_error(name_of(n), module)), "")
        if any(isinstance(a, ast.Constant) and a.value == "ok" for a in call.args):
            return None  # of a Finding
        if name in FUNCTIONS:
            return argument(call, 0, "what")
        if name == "ValueError" or name in MORE or self._is_error(name, module):
            return argument(call, *self._said_in(name, module))
        return None

    def _class(self, name: str, module: Module) -> tuple[Module, ast.ClassDef] | None:
        return self.classes.get((module.home(name), name))

    def _is_error(self, name: str, module: Module) -> bool:
        found = self._class(name, module)
        if found is None:
            return False
        home, node = found
        bases = [name_of(base) for base in node.bases]
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
            base = name_of(node.bases[0]) if node.bases else ""
            found = self._class(base, module) if base != node.name else None
        return 0, "what"

    def _record(self, said: ast.expr, scope: Scope, place: str, seen: tuple[Any, ...]) -> None:
        """What `said` is in `scope`; where it is what the function is given, what callers give."""
        words = {node.id for node in ast.walk(said) if isinstance(node, ast.Name)}
        passed = parameters(scope) & words if scope.id not in seen else set()
        told, untold = False, False  # by callers
        for caller, call in self._calls(scope) if passed else ():
            exprs = {p: e for p in passed if (e := given(scope, call, p)) is not None}
            names = {p: self.texts(e, caller) for p, e in exprs.items()}
            if any(_told(text) for texts in names.values() for text in texts):
                told = True
                texts = self.texts(said, replace(scope, names=names))
                self._keep(texts, place_of(caller, call))
            elif isinstance(said, ast.Name) and said.id in exprs:
                self._record(exprs[said.id], caller, place_of(caller, call), (*seen, scope.id))
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
        receiver = name_of(call.func.value)
        if receiver == "self":
            return caller.owner == scope.owner
        arguments = caller.function.args.args if caller.function else []
        typed = next((a.annotation for a in arguments if a.arg == receiver), None)
        kind = name_of(typed.value if isinstance(typed, ast.Subscript) else typed)
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
        if name in parameters(scope):
            return {VALUE}
        found: Texts = set()
        if scope.function is not None:
            itself = replace(scope, names={**scope.names, name: {VALUE}})
            for value in assigned(scope, name):
                found |= self.texts(value, itself, depth + 1, False)
        if not found and name in scope.module.constants:
            found = self.texts(scope.module.constants[name], Scope(scope.module), depth + 1, False)
        return found if 0 < len(found) <= MOST else {VALUE}

    def _returned(self, call: ast.Call, scope: Scope, depth: int) -> Texts:
        home = scope.module.home(name_of(call.func))
        here = [s for s in self.functions[name_of(call.func)] if s.module.name == home]
        found: Texts = set()
        for inner in here:
            names = {
                p: self.texts(e, scope, depth + 1)
                for p in parameters(inner)
                if (e := given(inner, call, p)) is not None
            }
            for node in inner.own(ast.Return):
                found |= self.texts(node.value, replace(inner, names=names), depth + 1)
        return found or {VALUE}

    def returned(self, path: str, *names: str) -> dict[str, set[str]]:
        """What functions of a file return, for those that tell without an error."""
        told = copy(self)
        told.found, told.values = {}, set()
        for scope in self.scopes:
            if not str(scope.module.path).endswith(path) or scope.function is None:
                continue
            for node in scope.own(ast.Return) if scope.function.name in names else ():
                first = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
                if first is not None:
                    told._record(first, scope, place_of(scope, node), ())
        return told.found


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


def _position(names: list[str]) -> tuple[int, str]:
    return next(((i, n) for i, n in enumerate(names) if n in SAID_IN), (0, "what"))
