"""A config as its author wrote it: each option with its lines and the comments above it.

Comments and the notation of values survive because lines are moved, not values printed again; a
config in one line, as JSON, has neither.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llmops.errors import BadInput
from llmops.spec.source import Source, display, parse_source


@dataclass(frozen=True)
class Entry:
    """One option. above: the comments and empty lines before it; lines: its own; behind: the
    comment in the line of a plain value."""

    key: str
    value: Any
    above: tuple[str, ...]
    lines: tuple[str, ...]
    behind: str = ""


@dataclass(frozen=True)
class Config:
    """entries in their order; below: what stands after the last one."""

    source: Source
    entries: tuple[Entry, ...]
    below: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.source.path

    def get(self, key: str) -> Any:
        return self.source.data.get(key)

    def bad(self, what: str, key: str, *, fix: str = "") -> BadInput:
        return BadInput(what, where=self.source.where((key,)), fix=fix)


def read_config(path: Path) -> Config:
    """Raises BadInput as `spec.source.read_source`, or when it trains nothing."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", where=display(path)) from error
    config = _parsed(text, path)
    if not config.get("stage") or not config.get("model_name_or_path"):
        raise BadInput(
            "this is no training config of LLaMA-Factory: it has no `stage` and "
            "`model_name_or_path`",
            where=display(path),
            fix="name a file that `llamafactory-cli train` takes",
        )
    if config.get("do_train") is not True:
        raise BadInput(
            "it does not train (`do_train: true`)",
            where=display(path),
            fix="predictions belong to an evaluation (docs/evaluation.md)",
        )
    return config


def _parsed(text: str, path: Path) -> Config:
    source = parse_source(text, path)
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    if root.flow_style:
        return Config(source, tuple(_printed(key, value) for key, value in source.data.items()))
    return _cut(text.splitlines(), root, source)


def _printed(key: str, value: Any) -> Entry:
    text = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True)
    return Entry(key, value, (), tuple(text.splitlines()))


def _cut(lines: list[str], root: Any, source: Source) -> Config:
    starts = [name.start_mark.line for name, _ in root.value]
    above, entries = lines[: starts[0]], []
    for (name, value), start, end in zip(
        root.value, starts, [*starts[1:], len(lines)], strict=True
    ):
        own = lines[start:end]
        below: list[str] = []
        whole = getattr(value, "style", None) in ("|", ">")  # its text may look like a comment
        while not whole and len(own) > 1 and _is_remark(own[-1]):
            below.insert(0, own.pop())
        behind = ""
        if isinstance(value, yaml.ScalarNode) and len(own) == 1:
            behind = lines[start][value.end_mark.column :].strip()
        key = str(name.value)
        entries.append(Entry(key, source.data[key], tuple(above), tuple(own), behind))
        above = below
    return Config(source, tuple(entries), tuple(above))


def _is_remark(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
