"""How much disk models take. A file that has several names (hard links) is counted once."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmops.registry.store import Registry


@dataclass(frozen=True)
class Size:
    """Of a version, of a model or of all. own: bytes that would go with it; shared: those that
    lie elsewhere too."""

    name: str
    own: int
    shared: int


def sizes(registry: Registry) -> list[tuple[Size, list[Size]]]:
    """Of each model, with its versions."""
    found = []
    for name in registry.names():
        folders = {
            str(row.id): registry.paths.version(name, row.number) for row in registry.rows(name)
        }
        each = [_measured(version, [folder]) for version, folder in folders.items()]
        found.append((_measured(name, folders.values()), each))
    return found


def size_of(paths: Iterable[Path]) -> int:
    """The bytes that would go with all of these."""
    return _measured("", paths).own


def _measured(name: str, paths: Iterable[Path]) -> Size:
    """What has more names than those among `paths` is shared."""
    found: dict[tuple[int, int], os.stat_result] = {}
    names: Counter[tuple[int, int]] = Counter()
    for file in (file for path in paths for file in _files(path)):
        with contextlib.suppress(FileNotFoundError):
            stat = file.lstat()
            found[stat.st_dev, stat.st_ino] = stat
            names[stat.st_dev, stat.st_ino] += 1
    own = sum(stat.st_size for key, stat in found.items() if names[key] >= stat.st_nlink)
    return Size(name, own, sum(stat.st_size for stat in found.values()) - own)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [Path(place, name) for place, _, names in os.walk(path) for name in names]
