"""Whether a version is what was registered: every byte of its files, and its manifest.

Nothing that is remembered is believed here.
"""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from llmops.environments.machine import cores
from llmops.registry.deletion import DELETED
from llmops.registry.index import MANIFEST
from llmops.registry.manifest import Manifest
from llmops.store.digest import sha256_json, sha256_tree
from llmops.store.files import read_object

Progress = Callable[[str, int, int], None]
_CHUNK = 1024 * 1024
_HEX = 64
_SMALL = 10_000_000
"""Bytes that are read before threads have begun."""


def seal_of(record: Mapping[str, Any]) -> str:
    """The digest of a manifest as it is written, but for its seal. `digest` covers the files, this
    the rest: golden prompts that changed would pass a server that answers nonsense."""
    return sha256_json({key: value for key, value in record.items() if key != "seal"})


def sealed(folder: Path, manifest: Manifest) -> bool:
    """Whether the manifest is as it was written; one of before seals says nothing of that."""
    return manifest.seal in (None, seal_of(read_object(folder / MANIFEST)))


def damage(folder: Path, manifest: Manifest, progress: Progress | None = None) -> list[str]:
    """What is not as it was registered, in words; nothing when all is. Files are read on all cores:
    one hashes less than a disk gives. progress: called with a file's name, its bytes read so far,
    and its size, from several threads. What a deletion left that did not come to pass is none."""
    there = {path.name for path in folder.iterdir()}
    names = [name for name in manifest.files if (folder / name).is_file()]
    large = sum((folder / name).stat().st_size for name in names) > _SMALL
    with ThreadPoolExecutor(cores()) as pool:
        digests = (pool.map if large else map)(lambda name: _digest(folder / name, progress), names)
        found = dict(zip(names, digests, strict=True))
    problems = [f"`{name}` is missing" for name in manifest.files.keys() - found.keys()]
    problems += [
        f"`{name}` {'has changed' if len(digest) == _HEX else digest}"
        for name, digest in found.items()
        if digest != manifest.files[name]
    ]
    foreign = {name for name in there - {MANIFEST} - manifest.files.keys() if DELETED not in name}
    problems += [f"`{name}` does not belong to it" for name in foreign]
    if not sealed(folder, manifest) or (
        not problems and sha256_tree(manifest.files) != manifest.digest
    ):
        problems.append(f"`{MANIFEST}` has changed")
    return sorted(problems)


def _digest(file: Path, progress: Progress | None) -> str:
    """Of what can be read; else why not: the others are to be read all the same."""
    digest, done = hashlib.sha256(), 0
    try:
        size = file.stat().st_size
        with file.open("rb", buffering=0) as reader:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(file.name, done, size)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return digest.hexdigest()
