"""From the log to what was made of it: which snapshots hold rows of an answer or an event, and
which versions trained on them. Read from the snapshots and the registry; nothing else keeps it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from llmops.feedback.erase import TouchedSnapshot
from llmops.preferences.snapshot import Snapshot, snapshot_names, snapshots
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths


@dataclass(frozen=True)
class Use:
    """A snapshot with rows that came from the ids in question. trains, held_out: how many rows of
    either. versions: NAME:vN that trained on it."""

    snapshot: Snapshot
    trains: int
    held_out: int
    versions: list[str]


def uses(ids: Collection[str], paths: ProjectPaths) -> list[Use]:
    """Snapshots with rows of these inferences or events, by name and number. Reads the ids of all
    snapshots. Raises Failed when one is damaged."""
    import polars as pl

    wanted = pl.Series("id", sorted(ids), dtype=pl.String).implode()
    found = []
    registry = Registry(paths)
    for name in snapshot_names(paths):
        for snapshot in snapshots(name, paths):
            hit = [
                pl.col(column).list.set_intersection(wanted).list.len() > 0
                for column in ("inferences", "events")
            ]
            rows = pl.scan_parquet(snapshot.pairs).filter(pl.any_horizontal(hit))
            splits = rows.select("split").collect()["split"]
            if len(splits):
                trains = int((splits == "train").sum())
                versions = trained_on(snapshot, registry) if trains else []
                found.append(Use(snapshot, trains, len(splits) - trains, versions))
    return found


def trained_on(snapshot: Snapshot, registry: Registry) -> list[str]:
    """The versions whose lineage names the snapshot's training data."""
    path = str(snapshot.train.resolve())
    return [
        str(manifest.id)
        for name in registry.names()
        for manifest in registry.versions(name)
        if any(str((registry.root / data.path).resolve()) == path for data in manifest.lineage.data)
    ]


def erase_rows(ids: Collection[str], paths: ProjectPaths) -> list[TouchedSnapshot]:
    """Erase the rows of these inferences and events from all snapshots; those that held any."""
    from llmops.preferences.erasure import redact

    touched = []
    for use in uses(ids, paths):
        before = use.snapshot.digest
        after = redact(use.snapshot, ids)
        rows = use.trains + use.held_out
        one = TouchedSnapshot(use.snapshot.id, rows, before, after.digest, use.versions)
        touched.append(one)
    return touched
