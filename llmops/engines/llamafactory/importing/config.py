"""A config as its author wrote it: each option with its lines and the comments above it.

Comments and the notation of values survive because lines are moved, not values printed again. What
a recipe would read as something else is printed after all: a value that YAML 1.1, which the engine
reads, takes for another than YAML 1.2, and all values where aliases or merged mappings tie them
together. A config in one line, as JSON, has no comments.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from llmops.errors import BadInput
from llmops.spec.source import Source, display, parse_source, unread

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TIES = (yaml.AnchorToken, yaml.AliasToken)
_MARKS = ("---", "...", "%")


@dataclass(frozen=True)
class Entry:
    """One option. above: the comments and empty lines before it; lines: its own; behind: the
    comment in the line of a value of one line."""

    key: str
    value: Any
    above: tuple[str, ...]
    lines: tuple[str, ...]
    behind: str = ""

    @property
    def inside(self) -> tuple[str, ...]:
        """Its lines below the first with a remark, as comments."""
        lines = (line.strip() for line in self.lines[1:] if re.search(r"(?:^|\s)#", line))
        return tuple(line if line.startswith("#") else f"# {line}" for line in lines)


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
        return next((entry.value for entry in self.entries if entry.key == key), None)

    def bad(self, what: str, key: str, *, fix: str = "") -> BadInput:
        return BadInput(what, where=self.source.where((key,)), fix=fix)


def read_config(path: Path) -> Config:
    """Raises BadInput as `spec.source.read_source`, or when it trains nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {unread(error)}", where=display(path)) from error
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
    for key in source.data:
        if not isinstance(key, str):
            raise BadInput(f"`{key}` is no name of an option", where=display(path))
    root: Any = yaml.compose(text, Loader=_LOADER)
    if root.flow_style:
        return Config(source, tuple(_printed(key, value) for key, value in source.data.items()))
    config = _cut(text.splitlines(), root, source)
    tied = any(isinstance(token, _TIES) for token in yaml.scan(text, Loader=_LOADER))
    return _untied(config) if tied else _as_engine_reads(config, text)


def _printed(key: str, value: Any) -> Entry:
    text = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True)
    return Entry(key, value, (), tuple(text.splitlines()))


def _cut(lines: list[str], root: Any, source: Source) -> Config:
    starts = [name.start_mark.line for name, _ in root.value]
    lines = [_unmarked(line) if line.startswith(_MARKS) else line for line in lines]
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
        if len(own) == 1 and value.end_mark.line == start:
            behind = lines[start][value.end_mark.column :].strip()
        key = str(name.value)
        entries.append(Entry(key, source.data.get(key), tuple(above), tuple(own), behind))
        above = below
    return Config(source, tuple(entries), tuple(above))


def _unmarked(line: str) -> str:
    """What is remarked on the beginning or the end of a document."""
    return "".join(line.partition(" #")[1:]).strip()


def _is_remark(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _untied(config: Config) -> Config:
    """Each value printed, merged ones last."""
    own = {entry.key for entry in config.entries}
    kept = [_reprinted(entry, entry.value) for entry in config.entries if entry.key != "<<"]
    data = config.source.data
    merged = [_printed(key, value) for key, value in data.items() if key not in own]
    return replace(config, entries=(*kept, *merged))


def _reprinted(entry: Entry, value: Any) -> Entry:
    lines = list(_printed(entry.key, value).lines)
    if len(lines) == 1 and entry.behind:
        lines[0] = f"{lines[0]}  {entry.behind}"
    return replace(entry, value=value, lines=tuple(lines))


def _as_engine_reads(config: Config, text: str) -> Config:
    """With the values that the engine reads. A strategy `no`, false to YAML 1.1, stays a word: the
    engine ends at anything else. It resolves no `${...}`, so that is escaped."""
    try:
        found: Any = OmegaConf.to_container(OmegaConf.create(text))
    except (OmegaConfBaseException, yaml.YAMLError):
        return config
    return replace(config, entries=tuple(_read(entry, found) for entry in config.entries))


def _read(entry: Entry, found: dict[Any, Any]) -> Entry:
    value = found.get(entry.key, entry.value)
    if isinstance(entry.value, str) and "${" in entry.value:
        escaped = _reprinted(entry, entry.value.replace("${", "\\${"))
        return replace(escaped, value=entry.value)
    same = value == entry.value and type(value) is type(entry.value)
    if same or entry.key.endswith("_strategy") or not isinstance(value, bool | int | float):
        return entry
    return _reprinted(entry, value)
