"""Snapshots: numbered directories with the pairs of one name, as they stood.

    .llmops/preferences/NAME/N/
      pairs.parquet   every pair with the inferences and events that it came from
      train.jsonl     what trains, in the engine's layout; holdout.jsonl: what never does
      card.md         for people; snapshot.json: counts, recipe, digests

Reading a snapshot needs no database and no Polars. A snapshot never changes, but for erasure
(erasure.py), which leaves a tombstone in snapshot.json.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from llmops.errors import BadInput, Failed, NotFound
from llmops.preferences.report import Report
from llmops.spec.grammar import Spec
from llmops.spec.reference import NAME
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths

TRAIN, HOLDOUT, PAIRS = "train.jsonl", "holdout.jsonl", "pairs.parquet"
CARD, MANIFEST = "card.md", "snapshot.json"
SnapshotLayout = Literal["preference", "kto"]


class Tombstone(Spec):
    """An erasure: pairs: how many rows went; before, after: the snapshot's digest; train: the
    sha256 of train.jsonl as versions may have trained on it."""

    time: str = Field(description="ISO 8601, UTC")
    pairs: int
    before: str
    after: str
    train: str


class Manifest(Spec):
    """snapshot.json. digest: sha256 over the rows (texts, ids, counts, split); files: sha256 of
    each. recipe: as it was resolved; run: that made it; simulated: whether simulated feedback
    went into it."""

    format: Literal[1] = 1
    name: str
    number: int
    created: str = Field(description="ISO 8601, UTC")
    layout: SnapshotLayout
    deployment: str
    digest: str
    files: dict[str, str]
    report: Report
    recipe: dict[str, Any]
    simulated: bool = False
    run: str | None = None
    tombstones: list[Tombstone] = Field(default_factory=list)


@dataclass(frozen=True)
class Snapshot:
    """A snapshot on disk. counts: rows that train and that are held out."""

    directory: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return f"preferences:{self.manifest.name}@{self.manifest.number}"

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def layout(self) -> SnapshotLayout:
        return self.manifest.layout

    @property
    def counts(self) -> dict[str, int]:
        return {"train": self.manifest.report.train, "holdout": self.manifest.report.holdout}

    @property
    def train(self) -> Path:
        return self.directory / TRAIN

    @property
    def pairs(self) -> Path:
        return self.directory / PAIRS


def snapshot_names(paths: ProjectPaths) -> list[str]:
    """The names that there are snapshots of."""
    folder = paths.preferences
    found = folder.iterdir() if folder.is_dir() else []
    named = [p.name for p in found if re.fullmatch(NAME, p.name) and _numbers(p)]
    return sorted(named)


def snapshots(name: str, paths: ProjectPaths) -> list[Snapshot]:
    """All of one name, oldest first."""
    folder = paths.snapshots(name)
    return [read_snapshot(folder / str(number)) for number in _numbers(folder)]


def find_snapshot(target: str, paths: ProjectPaths, where: str = "") -> Snapshot:
    """`NAME`: its newest snapshot; `NAME@N`: that one. where: a place for errors.

    Raises BadInput when there is none.
    """
    name, at, number = target.partition("@")
    if not re.fullmatch(NAME, name) or (at and not re.fullmatch("[1-9][0-9]*", number)):
        fix = "write preferences:NAME, or preferences:NAME@N for one snapshot"
        raise BadInput(f"`{target}` names no snapshot of preferences", where=where, fix=fix)
    folder = paths.snapshots(name)
    known = _numbers(folder)
    if not known:
        names = snapshot_names(paths)
        fix = did_you_mean(name, names) if names else ""
        fix = fix or "run the recipe of `kind: preferences` that makes it first"
        raise NotFound(f"there is no snapshot of preferences:{name}", where=where, fix=fix)
    wanted = int(number) if at else known[-1]
    if wanted not in known:
        listed = ", ".join(f"{name}@{n}" for n in known[-5:])
        raise NotFound(
            f"there is no snapshot preferences:{target}", where=where, fix=f"the newest: {listed}"
        )
    return read_snapshot(folder / str(wanted))


def read_snapshot(directory: Path) -> Snapshot:
    """Raises Failed when its manifest is damaged."""
    file = directory / MANIFEST
    try:
        return Snapshot(directory, Manifest.model_validate_json(file.read_bytes()))
    except (OSError, ValidationError) as error:
        raise Failed(
            "the snapshot is damaged: its manifest cannot be read",
            where=display(file),
            fix="remove its directory and run its recipe again",
        ) from error


def _numbers(folder: Path) -> list[int]:
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(int(p.name) for p in found if re.fullmatch("[1-9][0-9]*", p.name))
