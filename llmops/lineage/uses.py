"""From the log to what was made of it: which snapshots hold rows of an answer or an event, and
which versions trained on them. Read from the snapshots and the registry; nothing else keeps it.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from llmops.errors import BadInput
from llmops.feedback.erase import TouchedSnapshot
from llmops.lineage.versions import Use, Versions
from llmops.preferences.erasure import redact, snapshots_with
from llmops.preferences.snapshot import HOLDOUT, TRAIN, Snapshot, find_snapshot
from llmops.preferences.verdicts import forget
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths


@dataclass(frozen=True)
class Rows:
    """A snapshot with rows that came from the ids in question, and how many. versions: NAME:vN
    that trained on it."""

    snapshot: Snapshot
    rows: int
    versions: list[str]


def uses(ids: Collection[str], paths: ProjectPaths) -> list[Rows]:
    """Snapshots with rows of these inferences or events, by name and number. Reads the ids of all
    snapshots. Raises Failed when one is damaged."""
    versions = Versions(Registry(paths))
    return [
        Rows(snapshot, rows, trained_on(snapshot, versions))
        for snapshot, rows in snapshots_with(ids, paths)
    ]


def trained_on(snapshot: Snapshot, versions: Versions) -> list[str]:
    """The versions that trained on what the snapshot holds to train on."""
    found = [
        one.version for one in versions.of_snapshot(snapshot) if part(one, snapshot) != HOLDOUT
    ]
    return list(dict.fromkeys(found))


def part(use: Use, snapshot: Snapshot) -> str:
    """Which file of the snapshot a version used, or a copy of which: train.jsonl or
    holdout.jsonl."""
    held = use.used.sha256 == snapshot.manifest.files.get(HOLDOUT)
    return HOLDOUT if held or Path(use.used.path).name == HOLDOUT else TRAIN


class SnapshotEraser:
    """Erases rows of the project's snapshots (feedback/erase.py), and what judges said of them."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths

    def holding(self, ids: Collection[str]) -> list[TouchedSnapshot]:
        return [
            TouchedSnapshot(use.snapshot.id, use.rows, use.snapshot.digest, None, use.versions)
            for use in uses(ids, self._paths)
        ]

    def erase(self, ids: Collection[str], held: list[TouchedSnapshot]) -> list[TouchedSnapshot]:
        forget(ids, self._paths)
        for snapshot, _ in snapshots_with(ids, self._paths):
            redact(snapshot, ids)
        return [replace(one, after=self._digest(one.id)) for one in held]

    def _digest(self, snapshot: str) -> str | None:
        try:
            return find_snapshot(snapshot.removeprefix("preferences:"), self._paths).digest
        except BadInput:  # somebody removed it
            return None
