"""What comes into the registry: checked, completed by what its files say, and copied."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from llmops.errors import BadInput
from llmops.registry.adapters import read_adapter
from llmops.registry.files import headers, model_files, read_json
from llmops.registry.manifest import Draft
from llmops.registry.weights import dtype_of
from llmops.spec.source import display
from llmops.store.atomic import write_json
from llmops.store.digest import sha256_file

_CHUNK = 8 * 1024 * 1024


def completed(draft: Draft, source: Path) -> tuple[Draft, list[str]]:
    """The draft with dtype and rank as the files say, and the names of the files to copy.

    Raises BadInput when the files are not a complete, servable model of the draft's kind.
    """
    names = model_files(source, draft.kind)
    dtype = draft.dtype or dtype_of(headers(source, names))
    if draft.kind == "full":
        return draft.model_copy(update={"dtype": dtype}), names
    if not draft.base:
        raise BadInput("an adapter needs a base", where=display(source), fix="name it: --base BASE")
    adapter = read_adapter(source)
    known = {"dtype": dtype, "lora_rank": adapter.rank, "lora_alpha": adapter.alpha}
    return draft.model_copy(update=known), names


def copy_file(source: Path, target: Path, progress: Callable[[str, int, int], None] | None) -> str:
    """Copy the content of one file, never a link. Returns the sha256 of what was copied."""
    digest = hashlib.sha256()
    size, done = source.stat().st_size, 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(source.name, done, size)
    return digest.hexdigest()


def name_base(path: Path, base: str | None) -> str:
    """Let the stored adapter name its base as the registry does. The engine wrote the path of the
    directory that it trained from, which means nothing on another machine and would make the
    digest depend on where the project lies. Returns the sha256 of the file."""
    config = read_json(path)
    config["base_model_name_or_path"] = base
    write_json(path, config)
    return sha256_file(path)
