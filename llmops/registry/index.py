"""What is asked of many versions at once, without reading each manifest: a row for each.

Manifests are the truth. Rows are remembered in the project's cache, a file for each model, and hold
while the model's directory is as it was; after a change only what came is read. A file that is
absent, damaged or of an older llmops costs the reading of all manifests, once. Whoever takes a
version away changes the model's directory first, so that nobody goes on with what they remember.
"""

import json
import os
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from pydantic_core import from_json

from llmops.errors import Failed
from llmops.registry.manifest import Manifest, VersionId
from llmops.store.files import Mark, mark_of
from llmops.store.memory import Memory
from llmops.store.paths import ProjectPaths

MANIFEST = "manifest.json"
_SETTLED = 100_000_000
"""Nanoseconds. Within one tick of a file system's clock a directory may change twice and bear one
time: what was listed so soon after a change is listed again."""
_WORTH = 32
"""So many manifests are read again rather than have the disk wait for a new file."""


class Row(NamedTuple):
    """A version in short. base: of an adapter; parent: the version it was trained from; size: bytes
    of its files; recipe, by: the file and the stage that made it; figures: its metrics as JSON,
    which few who list ask for."""

    name: str
    number: int
    kind: str
    stage: str
    base: str | None
    parent: str | None
    size: int
    created: str
    digest: str
    fingerprint: str | None
    lora_rank: int | None
    recipe: str | None
    by: str | None
    figures: str

    @property
    def id(self) -> VersionId:
        return VersionId(self.name, self.number)

    @property
    def metrics(self) -> dict[str, float]:
        found: dict[str, float] = from_json(self.figures)  # a third of what json takes
        return found


Rows = dict[int, Row]


class Index:
    """The rows of a project's versions."""

    def __init__(self, paths: ProjectPaths, read: Callable[[VersionId], Manifest]) -> None:
        """read: the manifest of a version that is there."""
        self._paths, self._read = paths, read
        self._known: dict[str, tuple[Mark | None, Rows]] = {}
        self._made: dict[str, tuple[Rows, dict[str | None, list[Row]]]] = {}

    def rows(self, name: str) -> Rows:
        """By number, ascending; none of a model that is not there. Raises Failed for a manifest
        that cannot be read."""
        mark = mark_of(self._paths.model(name))
        if mark is None:
            return {}
        first = name not in self._known
        if first:
            self._known[name] = _remembered(Memory(self._paths.index(name)))
        held, rows = self._known[name]
        if held == mark:
            return rows
        there = numbers(self._paths.model(name))
        came = [n for n in there if n not in rows]
        if there != [*rows]:
            found = ((n, rows.get(n) or self._fresh(VersionId(name, n))) for n in there)
            rows = {n: row for n, row in found if row is not None}
        settled = time.time_ns() - mark[1] > _SETTLED
        self._known[name] = mark if settled else None, rows
        if len(came) >= _WORTH or (first and settled and len(there) >= _WORTH):
            _remember(Memory(self._paths.index(name)), name, *self._known[name])
        return rows

    def _fresh(self, version: VersionId) -> Row | None:
        """None of one that was deleted since it was listed."""
        try:
            return self.row(self._read(version))
        except Failed:
            if _is_complete(self._paths.model(version.name), version.number):
                raise
            return None

    def made_with(self, name: str, fingerprint: str) -> list[Row]:
        """The versions of a model with that fingerprint, oldest first. A plan of a thousand stages
        asks a thousand times."""
        rows = self.rows(name)
        known = self._made.get(name)
        if known is None or known[0] is not rows:
            known = self._made[name] = rows, {}
            for row in rows.values():
                known[1].setdefault(row.fingerprint, []).append(row)
        return known[1].get(fingerprint, [])

    def row(self, one: Manifest) -> Row:
        """What is kept of a version that was read."""
        folder = self._paths.version(one.name, one.number)
        files = (folder / name for name in one.files)
        return Row(
            name=one.name,
            number=one.number,
            kind=one.kind,
            stage=one.stage,
            base=one.base,
            parent=one.lineage.parent,
            size=sum(file.stat().st_size for file in files if file.is_file()),
            created=one.created,
            digest=one.digest,
            fingerprint=one.fingerprint,
            lora_rank=one.lora_rank,
            recipe=one.lineage.recipe,
            by=one.lineage.stage,
            figures=json.dumps(one.metrics),
        )


def numbers(model: Path) -> list[int]:
    """The numbers of the complete versions in a model's directory, ascending."""
    return [n for n in directories(model) if _is_complete(model, n)]


def has_versions(model: Path) -> bool:
    """Whether one is complete; quicker than to list them."""
    try:
        with os.scandir(model) as entries:
            return any(_is_complete(model, n) for entry in entries if (n := _number(entry.name)))
    except (FileNotFoundError, NotADirectoryError):
        return False


def directories(model: Path) -> list[int]:
    """The numbers that were given: temporary directories have other names."""
    try:
        return sorted(filter(None, map(_number, os.listdir(model))))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _number(name: str) -> int | None:
    digits = name[1:]
    if name[:1] != "v" or digits[:1] == "0" or not (digits.isascii() and digits.isdecimal()):
        return None
    return int(digits)


def _is_complete(model: Path, number: int) -> bool:
    return os.path.isfile(f"{model}/v{number}/{MANIFEST}")


_COLUMNS = Row._fields[1:]


def _remembered(memory: Memory) -> tuple[Mark | None, Rows]:
    """Kept by column, which is read and put together in half the time."""
    name = memory.get("name")
    if memory.get("columns") != [*_COLUMNS]:
        return None, {}
    rows = map(Row._make, zip(repeat(name), *memory.get("values"), strict=False))
    mark = memory.get("mark")
    return (mark[0], mark[1], mark[2]) if mark else None, {row.number: row for row in rows}


def _remember(memory: Memory, name: str, mark: Mark | None, rows: Rows) -> None:
    memory.put("name", name)
    memory.put("columns", _COLUMNS)
    memory.put("mark", mark)
    memory.put("values", [*zip(*rows.values(), strict=True)][1:])
    memory.save()
