"""Erasure: rows that came from what is to be forgotten leave a snapshot, and what was copied of it.

A snapshot is found by the ids in its pairs.parquet, which is therefore replaced last:
an erasure that is interrupted anywhere is finished by running it again. What stays is a tombstone
with the digests of before, so that a version's data can still be named, not read. The log of a
training shows an example, and its folder may hold copies: those are erased whole.
"""

import datetime
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.data.tokenized import Tokenized
from llmops.errors import Failed
from llmops.preferences import rows
from llmops.preferences.save import describe
from llmops.preferences.snapshot import (
    PAIRS,
    TRAIN,
    Manifest,
    Snapshot,
    Tombstone,
    read_snapshot,
    snapshot_names,
    snapshots,
)
from llmops.spec.source import display
from llmops.store.atomic import full_disk, sync_file, write_text
from llmops.store.paths import ProjectPaths
from llmops.store.run_paths import AttemptPaths

if TYPE_CHECKING:
    import polars as pl

_WORK = ".redacting"


def snapshots_with(ids: Collection[str], paths: ProjectPaths) -> list[tuple[Snapshot, int]]:
    """Every snapshot with rows that came from one of these inferences or events, and how many, by
    name and number. Raises Failed when one is damaged."""
    found = [one for name in snapshot_names(paths) for one in snapshots(name, paths)]
    counted = [(one, sum(rows_from(one, ids).values())) for one in found]
    return [(one, count) for one, count in counted if count]


def rows_from(snapshot: Snapshot, ids: Collection[str]) -> dict[str, int]:
    """How many rows came from one of these inferences or events, by split (`train`, `holdout`).
    Raises Failed when the snapshot is damaged."""
    import polars as pl

    try:
        rows = pl.scan_parquet(snapshot.pairs).filter(_touched(ids)).group_by("split").len()
        return dict(rows.collect().iter_rows())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Failed(
            f"{snapshot.id} is damaged: {PAIRS} cannot be read, so nobody can tell what is in it",
            where=display(snapshot.pairs),
            fix="remove the snapshot's directory, and run this again",
        ) from error


def redact(snapshot: Snapshot, ids: Collection[str]) -> Snapshot:
    """Take out every row that came from one of these inferences or events.

    Changes nothing when there is none. Raises Failed when the disk is full; the rows are still
    found then.
    """
    from filelock import FileLock

    paths = ProjectPaths(snapshot.directory.parents[3])
    with FileLock(paths.lock(f"preferences-{snapshot.manifest.name}")):
        return _redact(read_snapshot(snapshot.directory), ids, paths)


def _redact(snapshot: Snapshot, ids: Collection[str], paths: ProjectPaths) -> Snapshot:
    import polars as pl

    before = pl.read_parquet(snapshot.pairs)
    kept = before.filter(~_touched(ids))
    if kept.height == before.height:
        return snapshot
    work = snapshot.directory / _WORK
    with full_disk(snapshot.directory):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        files = rows.write(kept, work)
        manifest = _redacted(snapshot.manifest, before.height - kept.height, kept, files)
        for name in files:
            sync_file(work / name)
        wipe_copies(snapshot, paths)
        for name in files:
            if name != PAIRS:
                (work / name).replace(snapshot.directory / name)
        describe(manifest, snapshot.directory)
        (work / PAIRS).replace(snapshot.pairs)
        work.rmdir()
        sync_file(snapshot.directory)
    return read_snapshot(snapshot.directory)


def _touched(ids: Collection[str]) -> "pl.Expr":
    import polars as pl

    wanted = pl.Series("id", sorted(ids), dtype=pl.String).implode()
    # By element: to intersect each row's list with a thousand ids took 400 times as long.
    hit = [
        pl.col(column).list.eval(pl.element().is_in(wanted)).list.any()
        for column in ("inferences", "events")
    ]
    return pl.any_horizontal(hit)


def _redacted(
    manifest: Manifest, gone: int, kept: "pl.DataFrame", files: dict[str, str]
) -> Manifest:
    """The manifest of what is left. One that an interrupted erasure wrote stays as it is."""
    digest = rows.digest(kept)
    if digest == manifest.digest:
        return manifest
    tombstone = Tombstone(
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        pairs=gone,
        before=manifest.digest,
        after=digest,
        train=manifest.files[TRAIN],
    )
    return manifest.model_copy(
        update={
            "digest": digest,
            "files": files,
            "report": manifest.report.model_copy(
                update=rows.figures(kept, tuple(manifest.report.pairs))
            ),
            "tombstones": [*manifest.tombstones, tombstone],
        }
    )


def wipe_copies(snapshot: Snapshot, paths: ProjectPaths) -> None:
    """Remove what trainings kept of the snapshot's texts: tokenized data, the examples in their
    logs, converted and loaded copies, golden prompts of attempts."""
    directory = snapshot.directory.resolve()
    before = {one.train for one in snapshot.manifest.tombstones}
    digests = {*snapshot.manifest.files.values(), *before}
    Tokenized(paths.tokenized).forget(directory, digests)
    for info in paths.runs.glob("*/*/*/dataset_info.json"):
        if directory in _read_from(info):
            _wipe_attempt(AttemptPaths(info.parent))


def _read_from(info: Path) -> set[Path]:
    """The directories that an attempt's data files lie in."""
    try:
        entries = json.loads(info.read_text(encoding="utf-8")).values()
    except ValueError:  # cut off before the engine was started with it: nothing was read
        return set()
    return {Path(entry["file_name"]).resolve().parent for entry in entries}


def _wipe_attempt(attempt: AttemptPaths) -> None:
    for folder in (attempt.datasets, attempt.tokenized, attempt.root / "data"):
        shutil.rmtree(folder, ignore_errors=True)
    attempt.golden.unlink(missing_ok=True)
    if attempt.log.exists():
        write_text(
            attempt.log, "erased, because it showed an example of what was to be forgotten\n"
        )
