"""sha256 of files and directories, remembered by path, size, mtime and inode.

sha256 everywhere, because it is the Hub's own id (design decision 3).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llmops.store.atomic import write_json
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
    return sha256_json(dict(sorted(files.items())))


class Digests:
    """File hashes, remembered between processes. Reading changes nothing on disk until `save`."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._file = paths.digests
        self._known: dict[str, list[Any]] | None = None
        self._changed = False

    def file(self, path: Path) -> str:
        path = path.resolve()
        stat = path.stat()
        mark = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = self._load().get(str(path))
        if known is not None and known[:3] == mark:
            return str(known[3])
        digest = sha256_file(path)
        self._load()[str(path)] = [*mark, digest]
        self._changed = True
        return digest

    def tree(self, root: Path, names: Iterable[str]) -> dict[str, str]:
        """The digest of each named file below `root`."""
        return {name: self.file(root / name) for name in sorted(names)}

    def save(self) -> None:
        """Remember for the next process. Losing this file only costs time."""
        if self._changed and self._known is not None:
            write_json(self._file, self._known)
            self._changed = False

    def _load(self) -> dict[str, list[Any]]:
        if self._known is None:
            try:
                self._known = json.loads(self._file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self._known = {}
        assert self._known is not None
        return self._known
