"""A YAML file with the line of every key, so that each mistake can be pointed at. How its text is
read: core_yaml.py."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmops.errors import BadInput

Key = tuple[str | int, ...]


def parse_scalar(text: str) -> Any:
    """The value that `text` would have in a file: `1e-3` is a float, `[a, b]` a list."""
    from llmops.spec.core_yaml import scalar  # most commands read no YAML, and all come by here

    return scalar(text)


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
    from llmops.spec.core_yaml import mapping

    data, lines = mapping(text, path)
    return Source(path=path, data=data, lines=lines)


def _neighbours(path: Path) -> str:
    from llmops.spec.suggest import did_you_mean

    names = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    return did_you_mean(path.name, names)
