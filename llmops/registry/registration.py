"""How a version comes into the registry: whole or not at all, under a number of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.errors import BadInput, Failed
from llmops.registry.files import ADAPTER_CONFIG, is_weights
from llmops.registry.index import MANIFEST, directories
from llmops.registry.intake import Progress, completed, copy_files, name_base
from llmops.registry.integrity import seal_of
from llmops.registry.manifest import Draft, Manifest, VersionId
from llmops.spec.reference import parse_reference
from llmops.spec.source import display
from llmops.store.atomic import new_directory, sync_directory, sync_file, write_json
from llmops.store.digest import sha256_tree
from llmops.store.leftovers import remove

if TYPE_CHECKING:
    from llmops.registry.store import Registry


def register(
    registry: "Registry", draft: Draft, source: Path, progress: Progress | None
) -> Manifest:
    """As `Registry.add`."""
    with _alone(registry, draft):
        draft, names = completed(_on_base(registry, draft), source)
        # A temporary directory that another holder of the lock finds was left by a crash.
        _sweep(registry.paths.model(draft.name))
        number = _next(registry, draft.name)
        with new_directory(registry.paths.version(draft.name, number)) as folder:
            files = copy_files(source, names, folder, progress)
            if draft.kind == "adapter":
                files[ADAPTER_CONFIG] = name_base(folder / ADAPTER_CONFIG, draft.base)
            manifest = Manifest(
                **dict(draft),
                number=number,
                created=datetime.now(UTC).isoformat(timespec="milliseconds"),
                digest=sha256_tree(files),
                files=files,
            )
            seal = seal_of(manifest.model_dump(mode="json"))
            manifest = manifest.model_copy(update={"seal": seal})
            write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
            for file in folder.iterdir():
                file.chmod(0o444)
    if draft.kind == "full":  # its next promotion would read gigabytes
        for name in filter(is_weights, files):
            registry.digests.know(registry.directory(manifest) / name, files[name])
    return manifest


def take_in(registry: "Registry", manifest: Manifest, folder: Path) -> None:
    """As `Registry.take_in`."""
    target = registry.paths.version(manifest.name, manifest.number)
    with _alone(registry, manifest):
        found, names = completed(_on_base(registry, manifest), folder)
        present = {path.name for path in folder.iterdir()}
        if {*names, MANIFEST} != present or found.lora_rank != manifest.lora_rank:
            raise Failed(
                f"what lies there is not what its manifest says of {manifest.id}",
                where=display(folder),
                fix="see who made it; remove the directory to begin anew",
            )
        if target.exists():
            raise Failed(f"{manifest.id} has come meanwhile", fix="see `llmops models list`")
        for file in folder.iterdir():
            file.chmod(0o444)
            sync_file(file)
        folder.chmod(0o755)
        folder.rename(target)
        sync_directory(target.parent)


@contextmanager
def _alone(registry: "Registry", draft: Draft) -> Iterator[None]:
    """No version of that model comes or goes meanwhile, and none of the model of its base: what an
    adapter stands on when it is looked at is there when it comes. BadInput within it is a failure:
    what lies there is no model."""
    from filelock import FileLock

    base = _base_of(draft)
    names = {draft.name, base.name if base else draft.name}
    with ExitStack() as held:
        for name in sorted(names):  # each in the same order: none waits for one that waits for it
            held.enter_context(FileLock(registry.paths.lock(f"model-{name}")))
        try:
            yield
        except BadInput as error:
            raise Failed(error.what, where=error.where, fix=error.fix) from error


def _base_of(draft: Draft) -> VersionId | None:
    """Of an adapter; None when its base is no version."""
    try:
        named = parse_reference(draft.base or "")
    except ValueError:
        return None
    known = draft.kind == "adapter" and named.scheme == "version"
    return VersionId.parse(str(named)) if known else None


def _on_base(registry: "Registry", draft: Draft) -> Draft:
    """The draft of an adapter with the digest of its base, if that is registered."""
    if (named := _base_of(draft)) is None:
        return draft
    base = registry.get(named)
    if base.kind != "full":
        raise BadInput(
            f"{base.id} is an adapter; the base of an adapter is a full model",
            fix=f"its own base is {base.base}",
        )
    if draft.base_digest not in (None, base.digest):
        raise BadInput(
            f"the adapter was trained on another state of {base.id}",
            fix="name the version that it was trained on",
        )
    return draft.model_copy(update={"base_digest": base.digest})


def _next(registry: "Registry", name: str) -> int:
    """Above every number in use, also those that only a directory without a manifest or a
    move of an alias remembers: a name that was given never means another version."""
    moved = [VersionId.parse(move.version).number for move in registry.alias_log.history(name)]
    return max([0, *directories(registry.paths.model(name)), *moved]) + 1


def _sweep(model: Path) -> None:
    for path in model.glob(".v*.*"):
        remove(path)
