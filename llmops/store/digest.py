"""sha256 of files and directories, remembered by path, size, mtime and inode.

sha256 everywhere, because it is the Hub's own id (design decision 3).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llmops.store.files import mark_of
from llmops.store.memory import Memory
from llmops.store.paths import ProjectPaths


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_json(value: Any) -> str:
    """Digest of a JSON value, whatever the order of its keys."""
    return sha256_text(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str))


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_tree(files: Mapping[str, str]) -> str:
    """Digest of a directory, from the digest of each file by relative name."""
    return sha256_json(dict(files))


_BLOB = re.compile(r"[0-9a-f]{64}")


def _is_named_by_sha256(path: Path) -> bool:
    """Whether it is a large file in a Hugging Face cache, which the Hub names by its sha256.
    The name says what was published at that commit, without reading gigabytes; that the file is
    whole is for its reader to see (safetensors headers, the copies that serving makes)."""
    return (
        _BLOB.fullmatch(path.name) is not None
        and path.parent.name == "blobs"
        and path.parent.parent.name.startswith(("models--", "datasets--"))
        and path.is_file()
    )


class Digests:
    """File hashes, remembered between processes. Reading changes nothing on disk until `save`."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._memory = Memory(paths.digests)

    def file(self, path: Path) -> str:
        path = path.resolve() if path.is_symlink() else path.absolute()
        if _is_named_by_sha256(path):
            return path.name
        mark = [*(mark_of(path) or ())]
        known = self._memory.get(str(path))
        if known is not None and known[:3] == mark:
            return str(known[3])
        digest = sha256_file(path)
        self._memory.put(str(path), [*mark, digest])
        return digest

    def know(self, path: Path, digest: str) -> None:
        """That this is the digest of `path`, of whoever just wrote it."""
        self._memory.put(str(path.absolute()), [*(mark_of(path) or ()), digest])

    def tree(self, root: Path, names: Iterable[str]) -> dict[str, str]:
        """The digest of each named file below `root`."""
        return {name: self.file(root / name) for name in sorted(names)}

    def save(self) -> None:
        """Remember for the next process."""
        self._memory.save()
