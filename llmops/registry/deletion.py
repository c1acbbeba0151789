"""What stays of a version that was deleted: `vN/deleted.json`, and nothing else.

It keeps the number from being given again, and the manifest for `show` and lineage; without the
golden prompts, for these may be what somebody wants forgotten. Whether anything needs the version
is asked in storage/needs.py.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from llmops.errors import Failed, NotFound
from llmops.registry.index import MANIFEST
from llmops.registry.manifest import Manifest, VersionId
from llmops.spec.grammar import Spec
from llmops.spec.source import display
from llmops.store.atomic import sync_directory, write_json
from llmops.store.leftovers import remove
from llmops.store.paths import ProjectPaths

DELETED = "deleted.json"


class Tombstone(Spec):
    """by: the person or key that deleted it; manifest: as it was, without golden prompts."""

    time: str = Field(description="ISO 8601, UTC")
    by: str
    why: str = ""
    manifest: Manifest

    @property
    def error(self) -> NotFound:
        """For whoever asks for the version."""
        one, day = self.manifest.id, self.time[:16].replace("T", " ")
        return NotFound(
            f"{one} was deleted on {day} by {self.by}",
            fix=f"`llmops models show {one}` tells what it was, and why it went",
        )

    @property
    def lines(self) -> list[str]:
        """For a person."""
        one = self.manifest
        facts = {
            "why": self.why,
            "kind": one.kind,
            "stage": one.stage,
            "base": one.base,
            "trained from": one.lineage.parent,
            "recipe": one.lineage.recipe,
            "run": one.lineage.run,
            "imported from": one.lineage.imported_from,
            "created": one.created,
            "digest": one.digest,
        }
        told = [f"{name:14}{value}" for name, value in facts.items() if value]
        return [self.error.what, *told]


def buried(text: str, paths: ProjectPaths) -> Tombstone | None:
    """What is left of a version, by its name NAME:vN; None for one that is there."""
    try:
        version = VersionId.parse(text)
    except ValueError:
        return None
    there = (paths.version(version.name, version.number) / MANIFEST).is_file()
    return None if there else tombstone(version, paths)


def tombstone(version: VersionId, paths: ProjectPaths) -> Tombstone | None:
    """None for a version that was not deleted. Raises Failed when it cannot be read."""
    file = paths.version(version.name, version.number) / DELETED
    try:
        return Tombstone.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise Failed(
            f"the record of the deletion of {version} is damaged",
            where=display(file),
            fix="restore it from a backup; an empty directory in its place keeps its number, too",
        ) from error


def bury(
    manifest: Manifest, paths: ProjectPaths, allowed: Callable[[], None], *, why: str, by: str
) -> int:
    """Delete a version; the bytes that went. allowed: raises when it is still needed; asked while
    no alias of the model can move, and no version be added.

    What is killed in between leaves a version that is whole, or one that is gone for whoever
    reads, and whose files the next call or `unfinished` finds.
    """
    from filelock import FileLock

    folder = paths.version(manifest.name, manifest.number)
    paths.locks.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(paths.lock(f"model-{manifest.name}")),
        FileLock(paths.lock(f"aliases-{manifest.name}")),
    ):
        allowed()
        kept = manifest.model_copy(update={"golden": []})
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        made = Tombstone(time=time, by=by, why=why, manifest=kept)
        write_json(folder / DELETED, made.model_dump(mode="json"))
        return clear(folder)


def clear(folder: Path) -> int:
    """Remove what a version leaves besides its tombstone; the bytes. Its manifest goes first, out
    of its directory into the model's: then it is no version to anybody, and who remembers what
    versions there are (index.py) sees by that directory's time to look again."""
    if (manifest := folder / MANIFEST).exists():
        moved = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
        manifest.rename(moved)
        sync_directory(folder.parent)
        freed = remove(moved)
    else:
        freed = 0
    return freed + sum(remove(path) for path in [*folder.iterdir()] if path.name != DELETED)


def finish(left: Path, paths: ProjectPaths) -> int:
    """Remove what `unfinished` found; the bytes. It is looked at again while nobody deletes a
    version of that model: the tombstone of one that went since is all that is left of it."""
    from filelock import FileLock

    folder = left if left.name != DELETED else left.parent
    with FileLock(paths.lock(f"model-{folder.parent.name}")):
        if not (folder / MANIFEST).exists():
            return clear(folder)
        return remove(folder / DELETED)


def unfinished(paths: ProjectPaths, version: str = "*/v*") -> Iterator[Path]:
    """What deletions left that were cut off: the directory of a version that is gone, or the
    tombstone of one that is still there. version: NAME/vN of the only one to look at."""
    for file in sorted(paths.models.glob(f"{version}/{DELETED}")):
        if (file.parent / MANIFEST).exists():
            yield file
        elif len(os.listdir(file.parent)) > 1:
            yield file.parent
