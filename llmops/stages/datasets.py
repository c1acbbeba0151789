"""The data of a recipe: found, checked, and as parts of a fingerprint.

Besides files, here or at the Hub, snapshots of preferences: as training data their rows that train,
as validation those that are held out. What an earlier stage of the run has yet to make, or what has
yet to be downloaded, is pending.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from llmops.data.layouts import STAGE_LAYOUTS
from llmops.engines.contract import DataSet
from llmops.errors import BadInput, Failed
from llmops.preferences.snapshot import HOLDOUT, TRAIN, Snapshot
from llmops.registry.hub.cache import CachedFile, NotCached, cached_file, parse_hub
from llmops.runner.downloads import Download
from llmops.runner.stage import Context, Node, Pending
from llmops.spec.recipe import DataFile, Layout, TrainRecipe
from llmops.spec.source import display

Item = DataSet | Pending
Key = tuple[str | int, ...]
_PROMISED: dict[Layout, tuple[str, ...]] = {
    "kto": ("messages", "label"),
    "preference": ("messages", "chosen", "rejected"),
    "messages": ("messages",),
    "text": ("text",),
}
"""The columns of what has yet to be made, by the layout that a stage expects."""


def data_inputs(recipe: TrainRecipe) -> dict[str, tuple[str, Key]]:
    """The snapshots, and files of the Hub, that a recipe trains on or validates with: by input
    name, reference and key."""
    found: dict[str, tuple[str, Key]] = {}
    for part in ("train", "validation"):
        files = getattr(recipe.data, part)
        for position, file in enumerate(files if isinstance(files, list) else ()):
            if not file.path:
                key = ("data", part, position, file.reference.partition(":")[0])
                found[_input(part, position)] = (file.reference, key)
    return found


def _input(part: str, position: int) -> str:
    return f"data.{part}.{position}"


def training_data(node: Node, part: str, inputs: Mapping[str, Any], context: Context) -> list[Item]:
    """The data of `data.train` or `data.validation`, each file and snapshot checked; Pending for a
    snapshot that is made first, or a file that is downloaded first. Raises BadInput with the
    recipe's key and the file's row."""
    recipe: TrainRecipe = node.spec
    wanted = STAGE_LAYOUTS[recipe.stage]
    found: list[Item] = []
    for position, file in enumerate(getattr(recipe.data, part)):
        key: Key = ("data", part, position)
        given = inputs.get(_input(part, position))
        if file.preferences is not None:
            _check_plain(node, file, key)
        if isinstance(given, Pending):
            found.append(given)
        elif file.preferences is None:
            found.append(inspect_file(node, file, key, wanted, context, given))
        else:
            assert isinstance(given, Snapshot)
            found.append(_of_snapshot(node, file, given, key, wanted, context))
    return found


def inspect_all(
    node: Node,
    files: Sequence[DataFile],
    key: tuple[str, ...],
    wanted: Collection[Layout],
    context: Context,
) -> list[DataSet]:
    """Each file found and checked. Raises BadInput with the recipe's key and the file's row."""
    found = []
    for position, file in enumerate(files):
        if file.preferences is not None:
            where = node.declared.source.where((*key, position, "preferences"))
            raise BadInput(
                "preferences are data for `kind: train` only",
                where=where,
                fix="name a file: path:FILE",
            )
        found.append(inspect_file(node, file, (*key, position), wanted, context))
    return found


def inspect_file(
    node: Node,
    file: DataFile,
    key: Key,
    wanted: Collection[Layout],
    context: Context,
    given: CachedFile | None = None,
) -> DataSet:
    """The file that `key` of the recipe names, found and checked. given: the same, of the Hub, as
    it was looked up. Raises as `inspect_all`."""
    key, reference = (*key, "path"), file.reference
    if file.hub is not None:
        key = (*key[:-1], "hub")
        given = given or _cached(reference, node, key, context)
        reference, path = given.id, given.path
    else:
        path = node.declared.file(file.path, key, context.settings.root)
    place = partial(node.declared.source.where, key)
    found = context.inspections.inspect(file, path, where=place, wanted=wanted)
    return replace(found, reference=reference, licence=file.licence)


def _cached(reference: str, node: Node, key: Key, context: Context) -> CachedFile:
    """A file of the Hub that is no input of its stage: it is not downloaded, it is here."""
    try:
        return cached_file(parse_hub(reference), context.digests)
    except NotCached as error:
        where = node.declared.source.where(key)
        raise NotCached(error.what, where=where, fix=error.fix) from error


def _check_plain(node: Node, file: DataFile, key: Key) -> None:
    """A snapshot knows its own layout."""
    for name in ("layout", "columns"):
        if getattr(file, name) is not None:
            where = node.declared.source.where((*key, name))
            what = f"`{name}` has a meaning for files, not for preferences"
            raise BadInput(what, where=where, fix="leave it out")


def _of_snapshot(
    node: Node,
    file: DataFile,
    snapshot: Snapshot,
    key: Key,
    wanted: Collection[Layout],
    context: Context,
) -> DataSet:
    """The rows of a snapshot for one part of a recipe's data, known to be as they were written:
    the builders checked each (preferences/prompts.py), so they are not read again here."""
    part = TRAIN if key[1] == "train" else HOLDOUT
    place = node.declared.source.where((*key, "preferences"))
    _check_layout(snapshot, wanted, node, place)
    count = snapshot.counts["train" if part == TRAIN else "holdout"]
    if not count:
        raise BadInput(
            f"{snapshot.id} holds nothing {'to train on' if part == TRAIN else 'out'}",
            where=place,
            fix="raise `holdout` in the recipe that makes it" if part == HOLDOUT else "",
        )
    path: Path = snapshot.directory / part
    if not path.is_file() or context.digests.file(path) != snapshot.manifest.files[part]:
        raise Failed(
            f"{snapshot.id} is damaged: {part} is not what was written",
            where=display(path),
            fix="remove its directory and run its recipe again; an erasure that was interrupted "
            "is finished by running it again",
        )
    limited = file.limit is not None and file.limit < count
    return DataSet(
        path=path,
        layout=snapshot.layout,
        columns=_columns(snapshot.layout),
        samples=min(file.limit or count, count),
        sha256=snapshot.manifest.files[part],
        limit=file.limit if limited else None,
        reference=snapshot.id,
        snapshot=snapshot.digest,
        licence=file.licence,
        # first_prompts stays empty: the users' words are nobody's golden prompts.
    )


def _columns(layout: Layout) -> dict[str, str]:
    return {name: name for name in _PROMISED[layout]}


def _check_layout(snapshot: Snapshot, wanted: Collection[Layout], node: Node, place: str) -> None:
    if snapshot.layout in wanted:
        return
    other = "unpaired" if snapshot.layout == "preference" else "pairs"
    stages = [stage for stage, layouts in STAGE_LAYOUTS.items() if snapshot.layout in layouts]
    raise BadInput(
        f"{snapshot.id} has the layout `{snapshot.layout}`, which stage "
        f"`{node.spec.stage}` does not train on",
        where=place,
        fix=f"it is for stage {' or '.join(stages)}; `layout: {other}` makes the other kind",
    )


def data_parts(prefix: str, items: Sequence[Item]) -> dict[str, str]:
    """What a fingerprint covers of data: content, layout, columns and limit, not the path."""
    parts = {}
    for position, item in enumerate(items):
        name = f"{prefix}.{position}"
        if isinstance(item, Pending):
            parts[name] = f"pending: {item.node}"
            continue
        parts[name] = item.sha256
        parts[f"{name}.layout"] = item.layout
        parts[f"{name}.columns"] = ",".join(f"{k}={v}" for k, v in sorted(item.columns.items()))
        if item.path.suffix.lower() == ".txt":  # its lines would be rows of another format, too
            parts[f"{name}.format"] = "txt"
        if item.limit is not None:
            parts[f"{name}.limit"] = str(item.limit)
    return parts


def promised(item: Item, wanted: Collection[Layout]) -> DataSet:
    """A data set, with a placeholder for one that is yet to be made."""
    if isinstance(item, DataSet):
        return item
    layout = next(one for one in _PROMISED if one in wanted)
    path = item.place if isinstance(item, Download) else Path(f"/<{item.node}>") / TRAIN
    return DataSet(path, layout, _columns(layout), samples=0, sha256="")
