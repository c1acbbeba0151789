"""From the log to what was made of it: which snapshots hold rows of an answer or an event, and
which versions trained on them. Read from the snapshots and the registry; nothing else keeps it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from llmops.feedback.erase import TouchedSnapshot
from llmops.preferences.erasure import redact, snapshots_with
from llmops.preferences.snapshot import Snapshot
from llmops.preferences.verdicts import forget
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths


@dataclass(frozen=True)
class Use:
    """A snapshot with rows that came from the ids in question, and how many. versions: NAME:vN
    that trained on it."""

    snapshot: Snapshot
    rows: int
    versions: list[str]


def uses(ids: Collection[str], paths: ProjectPaths) -> list[Use]:
    """Snapshots with rows of these inferences or events, by name and number. Reads the ids of all
    snapshots. Raises Failed when one is damaged."""
    registry = Registry(paths)
    return [
        Use(snapshot, rows, trained_on(snapshot, registry))
        for snapshot, rows in snapshots_with(ids, paths)
    ]


def trained_on(snapshot: Snapshot, registry: Registry) -> list[str]:
    """The versions whose lineage names the snapshot's training data."""
    path = snapshot.train.resolve()
    return [
        str(manifest.id)
        for name in registry.names()
        for manifest in registry.versions(name)
        if any((registry.root / data.path).resolve() == path for data in manifest.lineage.data)
    ]


def erase_rows(ids: Collection[str], paths: ProjectPaths) -> list[TouchedSnapshot]:
    """Erase the rows of these inferences and events from all snapshots; those that held any."""
    forget(ids, paths)
    touched = []
    for use in uses(ids, paths):
        after = redact(use.snapshot, ids)
        before = use.snapshot.digest
        one = TouchedSnapshot(use.snapshot.id, use.rows, before, after.digest, use.versions)
        touched.append(one)
    return touched
