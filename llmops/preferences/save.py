"""Making a snapshot: whole or not at all, and never twice of the same content."""

import datetime
from typing import TYPE_CHECKING

from llmops.preferences import rows
from llmops.preferences.build import Built
from llmops.preferences.card import card
from llmops.preferences.snapshot import CARD, MANIFEST, Manifest, Snapshot, read_snapshot, snapshots
from llmops.spec.preferences import PreferencesRecipe
from llmops.store.atomic import new_directory, write_json, write_text
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    from pathlib import Path


def save(
    built: Built, recipe: PreferencesRecipe, paths: ProjectPaths, *, run: str | None = None
) -> Snapshot:
    """The snapshot of these rows: the one that has them already, or the next number.

    run: the id of the run that makes it. Raises Failed when the disk is full.
    """
    from filelock import FileLock

    name = recipe.output.preferences
    digest = rows.digest(built.rows)
    with FileLock(paths.lock(f"preferences-{name}")):
        known = snapshots(name, paths)
        for one in reversed(known):
            if one.digest == digest:
                return one
        number = known[-1].manifest.number + 1 if known else 1
        directory = paths.snapshots(name) / str(number)
        with new_directory(directory) as folder:
            manifest = Manifest(
                name=name,
                number=number,
                created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                layout=rows.layout_of(built.rows),
                deployment=recipe.deployment,
                digest=digest,
                files=rows.write(built.rows, folder),
                report=built.report,
                recipe=recipe.model_dump(mode="json", exclude_none=True),
                simulated=built.report.simulated > 0,
                run=run,
            )
            describe(manifest, folder)
        return read_snapshot(directory)


def describe(manifest: Manifest, folder: "Path") -> None:
    """Write the card and the manifest."""
    write_text(folder / CARD, card(manifest))
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
