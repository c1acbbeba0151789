"""YAML as declarations are written in, with the line of every key.

Scalars follow the YAML 1.2 core schema, not PyYAML's 1.1: `no`, `on` and `12:30` are strings and
`1e-4` is a float. LLaMA-Factory's option `eval_strategy: no` is the reason (engines.md).
"""

import re
from pathlib import Path
from typing import Any

import yaml

from llmops.errors import BadInput
from llmops.spec.source import Key, display

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


def scalar(text: str) -> Any:
    """The value that `text` would have in a file. Raises BadInput."""
    try:
        return yaml.load(text, Loader=_CoreLoader)
    # A number of thousands of digits is a ValueError, as many brackets a RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = getattr(error, "problem", None) or str(error)
        raise BadInput(f"`{text[:200]}` is not a YAML value: {said}") from error


def mapping(text: str, path: Path) -> tuple[dict[str, Any], dict[Key, int]]:
    """The mapping that `text` is, and the line (from 1) of each key path. path: of the file.

    Raises BadInput when it is not YAML, no mapping, or names a key twice.
    """
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
    return data, lines


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
