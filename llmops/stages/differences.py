"""What changed since a version was made, key by key and in the names that people gave things.

A version's manifest holds digests of what went into it, and the recipe as it ran beside them: the
former tell that something changed, the latter what.
"""

import re
from collections.abc import Mapping
from typing import Any

from llmops.data.layouts import LAYOUTS, STAGE_LAYOUTS
from llmops.registry.manifest import Manifest
from llmops.runner.fingerprint import changes
from llmops.runner.stage import Context, Node
from llmops.spec.load import resolve_path
from llmops.spec.recipe import DataFile
from llmops.stages.datasets import inspect_file
from llmops.store.facts import flatten

_DATA = re.compile(r"(data\.train|data\.validation|tokenizer\.texts)\.([0-9]+)")
_SNAPSHOT = re.compile(r".*/preferences/([^/]+)/([0-9]+)/[^/]+")


def differences(
    earlier: Manifest, parts: Mapping[str, str], node: Node, context: Context
) -> tuple[str, ...]:
    """Sentences: `base: town:v1 -> town:v2`, `data: a.jsonl changed (7,500 -> 7,612 rows)`."""

    def told(name: str) -> tuple[str, ...]:
        if name == "base" and name in earlier.parts:
            return _base(earlier, parts[name], node, context)
        if match := _DATA.fullmatch(name):
            at = match[1], int(match[2]), node, context
            before = _before(earlier, *at) if name in earlier.parts else None
            now = _now(*at) if name in parts else None
            key = match[1].removesuffix(".train").removesuffix(".texts")
            return (_data(key, before, now),)
        return _nested(earlier.lineage.resolved, node.declared.source.data, name)

    return changes(earlier.parts, parts, told)


def _base(earlier: Manifest, digest: str, node: Node, context: Context) -> tuple[str, ...]:
    before, registry = earlier.lineage.parent or "?", context.registry
    versions = (one for name in registry.names() for one in registry.rows(name))
    found = next((str(one.id) for one in versions if one.digest == digest), None)
    now = found or f"{node.spec.base}"
    if now != before:
        return (f"base: {before} -> {now}",)
    return (f"base: {now} changed ({earlier.parts['base'][:12]} -> {digest[:12]})",)


_Used = tuple[str, int | None]
"""What data is called, and its rows as far as they are known."""


def _before(earlier: Manifest, part: str, position: int, node: Node, context: Context) -> _Used:
    """Only what trained is listed with its rows; of what validated the recipe has the name."""
    data = earlier.lineage.data
    if part != "data.validation" and position < len(data):
        path = data[position].path
        match = _SNAPSHOT.fullmatch(path)
        return f"preferences:{match[1]}@{match[2]}" if match else path, data[position].samples
    listed = _at(earlier.lineage.resolved, part.split("."))
    item = listed[position] if isinstance(listed, list) and position < len(listed) else "?"
    text = str(item.get("path", item) if isinstance(item, dict) else item).removeprefix("path:")
    found = resolve_path(text, beside=node.declared.path, root=context.settings.root)
    return context.relative(found) if found else text, None


def _now(part: str, position: int, node: Node, context: Context) -> _Used:
    spec: Any = node.spec
    for name in part.split("."):
        spec = getattr(spec, name)
    file: DataFile = spec[position]
    if file.preferences is not None:
        from llmops.preferences.snapshot import find_snapshot

        where = node.declared.source.where((*part.split("."), position))
        snapshot = find_snapshot(file.preferences, context.paths, where)
        return snapshot.id, snapshot.counts["holdout" if "validation" in part else "train"]
    wanted = STAGE_LAYOUTS[node.spec.stage] if part.startswith("data") else LAYOUTS
    found = inspect_file(node, file, (*part.split("."), position), wanted, context)
    return context.relative(found.path), found.samples


def _data(key: str, before: _Used | None, now: _Used | None) -> str:
    if before is None or now is None:
        (name, rows), word = (now, "new,") if now else (before or ("?", None), "no longer")
        return f"{key}: {word} {name}{_rows(rows)}"
    # What a recipe names without its number is the same snapshot: an erasure changes its content.
    if before[0] != now[0] and not now[0].startswith(f"{before[0]}@"):
        return f"{key}: {before[0]}{_rows(before[1])} -> {now[0]}{_rows(now[1])}"
    grown = before[1] is not None and before[1] != now[1]
    return f"{key}: {now[0]} changed" + (
        f" ({before[1]:,} -> {now[1]:,} rows)" if grown else _rows(now[1])
    )


def _rows(count: int | None) -> str:
    return "" if count is None else f" ({count:,} rows)"


def _nested(before: Any, now: Any, name: str) -> tuple[str, ...]:
    """Of a mapping or list that a fingerprint holds as one digest, the keys that differ."""
    old, new = (_at(value, name.split(".", 1)) for value in (before, now))
    if not all(isinstance(one, dict | list) for one in (old, new)):
        return ()
    was, is_ = ({k: str(v) for k, v in flatten(one, name).items()} for one in (old, new))
    return changes(was, is_)


def _at(value: Any, names: list[str]) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
