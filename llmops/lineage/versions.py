"""All versions of a project by what they were made of, deleted ones too.

A manifest does not say what came of its version, so whoever asks that has all of them read: as JSON
and not into models, for there may be ten thousand.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from llmops.preferences.snapshot import Snapshot
from llmops.registry.deletion import DELETED, tombstone
from llmops.registry.index import MANIFEST, directories
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths


@dataclass(frozen=True)
class Used:
    """A data file that a version was made of: as it was (sha256) and where (path); role: `trained
    on`, or `validated with`, of which only the content is known and `path` is empty; reference:
    what the recipe named it by."""

    path: str
    sha256: str
    samples: int = 0
    role: str = "trained on"
    reference: str = ""


@dataclass(frozen=True)
class Origin:
    """A version in short: what it was made of. deleted: whether only its record is left."""

    id: str
    digest: str
    stage: str
    kind: str
    lora_rank: int | None
    created: str
    parents: dict[str, str] = field(default_factory=dict)
    """By id, the relation: trained from, base."""
    digests: frozenset[str] = frozenset()
    """Of its parents, as they were."""
    data: tuple[Used, ...] = ()
    deleted: bool = False


class Use(NamedTuple):
    """That a version was made of a data file."""

    version: str
    used: Used


class Versions:
    """Read when first asked for. unreadable: versions whose manifest is damaged."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.paths: ProjectPaths = registry.paths
        self.unreadable: list[str] = []

    def find(self, id: str) -> tuple[Manifest, str] | None:
        """The manifest of a version, with `deleted` for one that is no more; None when there never
        was one, or nothing tells of it. Raises Failed when it is damaged."""
        try:
            version = VersionId.parse(id)
        except ValueError:
            return None
        if (self.paths.version(version.name, version.number) / MANIFEST).is_file():
            return self.registry.get(version), ""
        left = tombstone(version, self.paths)
        return (left.manifest, "deleted") if left is not None else None

    @cached_property
    def origins(self) -> dict[str, Origin]:
        """By id, the versions of a model in order."""
        return {one.id: one for one in self._read()}

    @cached_property
    def _children(self) -> dict[str, list[Origin]]:
        """What was made of a version, by its id or, for a copy elsewhere, by its digest."""
        found: dict[str, list[Origin]] = {}
        for one in self.origins.values():
            for key in (*one.parents, *one.digests):
                found.setdefault(key, []).append(one)
        return found

    def using(self, *, paths: Collection[str] = (), digests: Collection[str] = ()) -> list[Use]:
        """The versions that were made of a data file by one of these paths (as manifests have them)
        or with one of these contents."""
        found = (use for key in (*paths, *digests) for use in self._used.get(key, ()))
        return list(dict.fromkeys(found))

    def of_snapshot(self, snapshot: Snapshot) -> list[Use]:
        """The versions that trained on a snapshot, as it is or was before rows were erased, or on
        a copy of it, and those that were validated with what it holds out."""
        return self.using(
            paths=[snapshot.id],
            digests={*snapshot.manifest.files.values()}
            | {one.train for one in snapshot.manifest.tombstones},
        )

    @cached_property
    def _used(self) -> dict[str, list[Use]]:
        """By path, by digest and by snapshot."""
        found: dict[str, list[Use]] = {}
        for one in self.origins.values():
            for used in one.data:
                keys = {used.path, used.reference, used.sha256}
                keys |= {snapshot_of(used.path, self.paths) or ""}
                for key in keys - {""}:
                    found.setdefault(key, []).append(Use(one.id, used))
        return found

    @property
    def data_paths(self) -> list[str]:
        """Of all data that any version was made of."""
        return sorted({used.path for one in self.origins.values() for used in one.data} - {""})

    @cached_property
    def _same(self) -> dict[str, list[str]]:
        """Versions by their digest."""
        found: dict[str, list[str]] = {}
        for one in self.origins.values():
            found.setdefault(one.digest, []).append(one.id)
        return found

    def children(self, id: str) -> dict[str, str]:
        """What was made of a version: by id, how: trained from, base; of a copy (on a model with
        its files that lies elsewhere), or same files (another version with them)."""
        found = {one.id: one.parents[id] for one in self._children.get(id, ())}
        own = self.origins.get(id)
        if own is None:
            return found
        for one in self._children.get(own.digest, ()):
            if one.id != id and not any(key in self.origins for key in one.parents):
                found.setdefault(one.id, "of a copy")
        for same in self._same[own.digest]:
            if same != id:
                found.setdefault(same, "same files")
        return found

    def descendants(self, ids: Iterable[str]) -> Iterator[tuple[str, str, str]]:
        """Each step from one of these versions onwards: from, to, how."""
        todo = list(ids)
        seen = set(todo)
        while todo:
            here = todo.pop()
            for child, relation in self.children(here).items():
                yield here, child, relation
                if child not in seen:
                    seen.add(child)
                    todo.append(child)

    def _read(self) -> Iterator[Origin]:
        folder = self.paths.models
        for model in sorted(folder.iterdir()) if folder.is_dir() else ():
            for number in directories(model):
                id = f"{model.name}:v{number}"
                try:
                    found = _loaded(model / f"v{number}")
                    if found is not None:
                        yield _origin(id, *found)
                except (OSError, ValueError, KeyError, TypeError, AttributeError):
                    self.unreadable.append(id)


def parent_relation(stage: str) -> str:
    """What a version is to its parent."""
    return "made from" if stage in ("merge", "compress") else "trained from"


def snapshot_of(path: str, paths: ProjectPaths) -> str | None:
    """preferences:NAME@N, when a data file is of a snapshot."""
    try:
        below = (paths.root / path).relative_to(paths.preferences)
    except ValueError:
        return None
    return f"preferences:{below.parts[0]}@{below.parts[1]}" if len(below.parts) > 2 else None


def _loaded(folder: Path) -> tuple[dict[str, Any], bool] | None:
    """The manifest, and whether it is of a deleted version; None for a place without either."""
    for name in (MANIFEST, DELETED):
        try:
            found = orjson.loads((folder / name).read_bytes())
        except FileNotFoundError:
            continue
        return (found, False) if name == MANIFEST else (found["manifest"], True)
    return None


def _origin(id: str, made: dict[str, Any], deleted: bool) -> Origin:
    lineage = made.get("lineage") or {}
    parents = {}
    came = parent_relation(made["stage"])
    for key, relation in ((made.get("base"), "base"), (lineage.get("parent"), came)):
        if key:
            parents[key] = relation
    parts = made.get("parts") or {}
    digests = {made.get("base_digest"), parts.get("base")} - {None}
    return Origin(
        id=id,
        digest=made["digest"],
        stage=made["stage"],
        kind=made["kind"],
        lora_rank=made.get("lora_rank"),
        created=made["created"],
        parents=parents,
        digests=frozenset(map(str, digests)),
        data=(
            *_trained(lineage),
            *(Used("", one, role="validated with") for one in held_out(parts).values()),
        ),
        deleted=deleted,
    )


def _trained(lineage: dict[str, Any]) -> Iterator[Used]:
    for one in lineage.get("data") or ():
        yield Used(
            one["path"],
            one["sha256"],
            one.get("samples", 0),
            reference=one.get("reference") or "",
        )


def held_out(parts: Mapping[str, str]) -> dict[int, str]:
    """What a training was validated with: digests by place in its recipe, of which the parts of its
    fingerprint tell."""
    names = (re.fullmatch(r"data\.validation\.([0-9]+)", name) for name in parts)
    return {int(name[1]): parts[name[0]] for name in names if name}
