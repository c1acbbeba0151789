"""What a repository of the Hub holds at a commit, of what llmops would read: asked in a plan, once
and shortly, and downloaded by transfer.py."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.errors import BadInput, Failed, LlmopsError
from llmops.registry.files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CARD,
    FULL,
    INDEX,
    LICENCES,
    PICKLES,
    VALUE_HEAD,
    WEIGHTS,
)
from llmops.registry.hub.cache import NotCached, cached, is_commit, not_cached, repository
from llmops.registry.hub.client import asked, host, hub, small_file
from llmops.spec.reference import Reference, parse_reference

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

PLAN_SECONDS = 5.0


@dataclass(frozen=True)
class HubFile:
    """size: bytes. digest: its name among the cache's blobs: sha256 of a large file, else git's."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """asked: as it was named; commit: what that is at the Hub now; texts: of small files that say
    what the others are."""

    asked: Reference
    commit: str
    files: tuple[HubFile, ...]
    texts: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def pinned(self) -> Reference:
        return replace(self.asked, part=self.commit)

    @property
    def snapshot(self) -> Path:
        """Where its files will be found."""
        return repository(self.asked) / "snapshots" / self.commit

    @property
    def missing(self) -> list[HubFile]:
        """What the cache does not have."""
        return [file for file in self.files if not (self.snapshot / file.name).exists()]

    @property
    def size(self) -> int:
        """Bytes yet to come, without what came before a download was cut off."""
        return sum(file.size - _there(self, file) for file in self.missing)


def list_files(reference: Reference, *, tries: int = 1) -> Listing:
    """The files of a model; or the one file of a data set that the reference names.

    Raises HubAway when the Hub cannot be reached, and what else client.py says; BadInput when
    there is no such model or file in it.
    """
    where = str(reference)

    def ask() -> Any:
        ask_for = hub().dataset_info if reference.file else hub().model_info
        return ask_for(
            reference.target,
            revision=reference.part,
            files_metadata=True,
            timeout=PLAN_SECONDS,
        )

    info = asked(ask, where, tries=tries)
    there = {one.rfilename: _file(one) for one in info.siblings or ()}
    pinned = replace(reference, part=info.sha)
    if not is_commit(info.sha):
        raise _no_id(info.sha, where)
    if reference.file:
        if reference.file not in there:
            raise BadInput(
                f"{host()} has no file `{reference.file}` in it",
                where=str(pinned),
                fix=_known(there),
            )
        names: list[str] = [reference.file]
        texts: dict[str, Any] = {}
    else:
        names, texts = _model(pinned, there)
    names += [name for name in (CARD, *LICENCES) if name in there]
    files = tuple(there[name] for name in names)
    for file in files:
        if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", file.digest):
            raise _no_id(file.digest, f"{pinned}:{file.name}")
    return Listing(reference, info.sha, files, texts)


def list_with_base(reference: Reference, *, tries: int = 1) -> list[Listing]:
    """As `list_files`; of an adapter also the model that it is on, if that is not here."""
    found = [list_files(reference, tries=tries)]
    base = found[0].texts.get(ADAPTER_CONFIG, {}).get("base_model_name_or_path")
    try:
        if base:
            cached(parse_reference(f"hub:{base}"))
    except NotCached:
        found.append(list_files(parse_reference(f"hub:{base}"), tries=tries))
    except ValueError:
        pass  # a directory, or a version: looked up once the adapter is here
    return found


def listings_for(error: LlmopsError, *, where: str = "", tries: int = 1) -> list[Listing]:
    """Of what would have to be downloaded where a look-up ended with `error`.

    Raises BadInput, at `where`, when the Hub has no such thing or cannot be asked.
    """
    wanted = not_cached(error)
    assert wanted is not None
    try:
        return list_with_base(wanted, tries=tries)
    except LlmopsError as told:
        what = f"{error.what}; {told.what}"
        raise BadInput(what, where=where or error.where, fix=told.fix or error.fix) from told


def _no_id(text: str, where: str) -> Failed:
    """Ids become the names of files here, so they must be ids."""
    return Failed(
        f"{host()} names `{text[:80]}`, which is neither a commit nor a sha",
        where=where,
        fix="check that HF_ENDPOINT is a Hub that you trust",
    )


def _there(listing: Listing, file: HubFile) -> int:
    blobs = repository(listing.asked) / "blobs"
    for name in (file.digest, partial_name(file)):
        with suppress(OSError):
            return min((blobs / name).stat().st_size, file.size)
    return 0


def partial_name(file: HubFile) -> str:
    """Of a blob that has not come whole; huggingface_hub's own cannot be gone on with."""
    return f"{file.digest}.llmops.incomplete"


def _file(one: "RepoSibling") -> HubFile:
    return HubFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else one.blob_id or "")


def _known(there: Mapping[str, HubFile]) -> str:
    names = [name for name in there if not name.startswith(".")]
    return "there: " + ", ".join(sorted(names)[:12]) if names else "it is empty"


def _model(pinned: Reference, there: Mapping[str, HubFile]) -> tuple[list[str], dict[str, Any]]:
    """The names of the files that make the model, as the registry would take them (files.py)."""
    heads = [VALUE_HEAD] if VALUE_HEAD in there else []
    if ADAPTER_CONFIG in there:
        texts = {ADAPTER_CONFIG: _read(pinned, ADAPTER_CONFIG)}
        names, weights = [ADAPTER_CONFIG, *heads], [ADAPTER_WEIGHTS]
    else:
        if "config.json" not in there:
            raise BadInput(
                f"{host()} has no model in it: neither config.json nor adapter_config.json",
                where=str(pinned),
                fix=_known(there),
            )
        texts = {name: _read(pinned, name) for name in ("config.json", INDEX) if name in there}
        names = [name for name in (*FULL, INDEX) if name in there] + heads
        shards = texts.get(INDEX, {}).get("weight_map") or {"": WEIGHTS}
        weights = sorted({str(shard) for shard in shards.values()})
    absent = [name for name in weights if name not in there or Path(name).name != name]
    if absent:
        pickle = any(name.endswith(PICKLES) for name in there)
        why = "; its weights are a pickle, and only safetensors are loaded" if pickle else ""
        raise BadInput(
            f"{host()} has no `{absent[0]}` in it{why}",
            where=str(pinned),
            fix="name a revision that has it; safetensors are often on a branch `refs/pr/N`",
        )
    return names + weights, texts


def _read(pinned: Reference, name: str) -> dict[str, Any]:
    """A small JSON file, not kept."""

    def ask() -> dict[str, Any]:
        found = json.loads(small_file(pinned.target, name, pinned.part, PLAN_SECONDS))
        return found if isinstance(found, dict) else {}

    return asked(ask, str(pinned), tries=1)
