"""A YAML file with the line of every key, so that each mistake can be pointed at.

Scalars follow the YAML 1.2 core schema, not PyYAML's 1.1: `no`, `on` and `12:30` are strings and
`1e-4` is a float. LLaMA-Factory's option `eval_strategy: no` is the reason (engines.md).
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from llmops.errors import BadInput

Key = tuple[str | int, ...]

MOST_KEYS = 200_000
"""Keys and items of a file, each as often as an alias repeats it: a text of ten lines can hold
billions."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreLoader(_Base):  # type: ignore[misc]
    """The safe loader with the scalars of YAML 1.2's core schema."""


_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+0123456789.",
    ),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("merge", r"^(?:<<)$", ["<"]),
):
    _CoreLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first)
    )


# PyYAML's int constructor reads `010` as octal; the core schema reads it as ten.
def _construct_int(loader: Any, node: Any) -> int:
    return int(loader.construct_scalar(node))


_CoreLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def parse_scalar(text: str) -> Any:
    """The value that `text` would have in a file: `1e-3` is a float, `[a, b]` a list."""
    try:
        return yaml.load(text, Loader=_CoreLoader)
    # A number of thousands of digits is a ValueError, as many brackets a RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = getattr(error, "problem", None) or str(error)
        raise BadInput(f"`{text[:200]}` is not a YAML value: {said}") from error


@dataclass(frozen=True)
class Source:
    """A parsed YAML mapping, its file, and the line (from 1) of each key path."""

    path: Path
    data: dict[str, Any]
    lines: dict[Key, int] = field(default_factory=dict)
    overridden: dict[Key, str] = field(default_factory=dict)
    """Keys whose value comes from elsewhere, and from where."""

    def where(self, key: Sequence[str | int] = ()) -> str:
        """`file:line: key` of the nearest enclosing key that has a line."""
        shown = dotted(key)
        path = tuple(key)
        if path and path not in self.lines:  # an override may have made it, with what it sets in it
            within = (o for k, o in self.overridden.items() if k[: len(path)] == path)
            if (origin := next(within, None)) is not None:
                return origin
        for length in range(len(path), -1, -1):
            if path[:length] in self.overridden:
                return self.overridden[path[:length]]
            line = self.lines.get(path[:length])
            if line is not None:
                place = f"{display(self.path)}:{line}"
                return f"{place}: {shown}" if shown else place
        return f"{display(self.path)}: {shown}" if shown else display(self.path)


def dotted(key: Sequence[str | int]) -> str:
    """`("data", "train", 0)` as `data.train.0`."""
    return ".".join(str(part) for part in key)


def display(path: Path) -> str:
    """The path as a user would type it: relative to the working directory if below it."""
    return str(path).removeprefix(os.path.join(os.getcwd(), ""))


def unread(error: OSError | UnicodeDecodeError) -> str:
    """Why a file could not be read, in words without its path."""
    return error.strerror or str(error) if isinstance(error, OSError) else "it is no UTF-8"


def read_source(path: Path) -> Source:
    """Read and parse a YAML file whose top level is a mapping.

    Raises BadInput when the file is absent, unreadable, not YAML, not a mapping, or names a key
    twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput("no such file", where=display(path), fix=_neighbours(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {unread(error)}", where=display(path)) from error
    return parse_source(text, path)


def parse_source(text: str, path: Path) -> Source:
    """The text of such a file, which need not be there. Raises as `read_source`."""
    try:
        loader = _CoreLoader(text)
        try:
            node = loader.get_single_node()
            lines: dict[Key, int] = {}
            _index(node, (), lines, path)
            data = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError) as error:
        raise _not_yaml(error, path) from error
    except RecursionError:
        what = "it is nested too deep, or an alias holds itself"
        raise BadInput(what, where=display(path)) from None
    if not isinstance(data, dict):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise BadInput(f"expected a mapping of keys to values, found {found}", where=display(path))
    return Source(path=path, data=data, lines=lines)


def _neighbours(path: Path) -> str:
    from llmops.spec.suggest import did_you_mean

    names = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    return did_you_mean(path.name, names)


def _not_yaml(error: Exception, path: Path) -> BadInput:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    place = f"{display(path)}:{mark.line + 1}" if mark is not None else display(path)
    return BadInput(f"not valid YAML: {problem}", where=place)


def _index(node: Any, key: Key, lines: dict[Key, int], path: Path) -> None:
    """Record the line of every key below `node`, refusing a key that is given twice."""
    if len(lines) > MOST_KEYS:
        what = f"it has more than {MOST_KEYS:,} keys, counting what aliases repeat"
        raise BadInput(what, where=display(path))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name_node, value_node in node.value:
            name = str(name_node.value)
            line = name_node.start_mark.line + 1
            if name in seen:
                place = f"{display(path)}:{line}"
                raise BadInput(f"the key `{name}` is given twice", where=place, fix="leave one out")
            seen.add(name)
            lines[(*key, name)] = line
            _index(value_node, (*key, name), lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            lines[(*key, position)] = item.start_mark.line + 1
            _index(item, (*key, position), lines, path)
