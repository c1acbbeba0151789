"""Snapshots as commands list and show them."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.preferences.snapshot import Snapshot, snapshot_names, snapshots
from llmops.spec.source import display
from llmops.store.paths import ProjectPaths

COLUMNS = ("snapshot", "layout", "train", "held out", "by builder", "created", "")


def listed(paths: ProjectPaths) -> list[dict[str, Any]]:
    """All snapshots, by name, the oldest first."""
    return [_summary(one) for name in snapshot_names(paths) for one in snapshots(name, paths)]


def row(found: Mapping[str, Any]) -> tuple[str, ...]:
    marks = ["simulated"] if found["simulated"] else []
    marks += ["rows erased"] if found["erased"] else []
    return (
        *(found["id"], found["layout"], f"{found['train']:,}", f"{found['holdout']:,}"),
        ", ".join(f"{count:,} {name}" for name, count in found["builders"].items()),
        *(found["created"], ", ".join(marks)),
    )


def shown(snapshot: Snapshot, versions: Sequence[str]) -> dict[str, Any]:
    """All that is known of one. versions: that trained on it."""
    return {
        **snapshot.manifest.model_dump(mode="json"),
        "id": snapshot.id,
        "directory": display(snapshot.directory),
        "versions": versions,
    }


def _summary(snapshot: Snapshot) -> dict[str, Any]:
    manifest = snapshot.manifest
    return {
        "id": snapshot.id,
        "layout": snapshot.layout,
        **snapshot.counts,
        "builders": manifest.report.pairs,
        "created": manifest.created,
        "simulated": manifest.simulated,
        "erased": sum(tombstone.pairs for tombstone in manifest.tombstones),
        "digest": snapshot.digest,
    }
