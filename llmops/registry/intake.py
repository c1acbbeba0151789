"""What comes into the registry: checked, completed by what its files say, and copied."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from llmops.errors import BadInput, Failed
from llmops.registry.adapters import read_adapter
from llmops.registry.files import headers, model_files, read_json
from llmops.registry.manifest import Draft
from llmops.registry.weights import dtype_of
from llmops.spec.source import display
from llmops.store.atomic import write_json
from llmops.store.digest import sha256_file
from llmops.store.files import mark_of

Progress = Callable[[str, int, int], None]
_CHUNK = 1024 * 1024
"""Bytes: they are hashed while they lie in the processor's cache."""


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


def copy_files(
    source: Path, names: Sequence[str], target: Path, progress: Progress | None
) -> dict[str, str]:
    """Copy the named files; the sha256 of each. Raises Failed when one changed meanwhile: the model
    would be of two."""
    marks = {name: mark_of(source / name) for name in names}
    digests = {name: copy_file(source / name, target / name, progress) for name in names}
    for name, mark in marks.items():
        if mark_of(source / name) != mark:
            raise _changed(source / name)
    return digests


def copy_file(source: Path, target: Path, progress: Progress | None) -> str:
    """Copy the content of one file, never a link. Returns the sha256 of what was copied.

    progress: called with the file's name, the bytes copied so far, and its size. Raises Failed when
    it is gone or no file, or changes meanwhile.
    """
    digest, done = hashlib.sha256(), 0
    with _regular(source) as reader, target.open("xb") as writer:
        before = os.fstat(reader.fileno())
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(source.name, done, before.st_size)
        after = os.fstat(reader.fileno())
    if done != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise _changed(source)
    return digest.hexdigest()


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    """Opened without waiting, as one would for who writes to a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise _changed(path) from None
    with open(handle, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Failed(
                f"`{path.name}` is not a regular file",
                where=display(path.parent),
                fix="put a copy of the file in its place",
            )
        yield file


def _changed(path: Path) -> Failed:
    return Failed(
        f"`{path.name}` changed while it was copied",
        where=display(path.parent),
        fix="wait until nothing writes there any more, and do it again",
    )


def name_base(path: Path, base: str | None) -> str:
    """Let the stored adapter name its base as the registry does. The engine wrote the path of the
    directory that it trained from, which means nothing on another machine and would make the
    digest depend on where the project lies. Returns the sha256 of the file."""
    config = read_json(path)
    config["base_model_name_or_path"] = base
    write_json(path, config)
    return sha256_file(path)
