"""What a write leaves that was killed in its middle: the temporary file or directory beside its
place (store/atomic.py). It is never read; whoever gives space back removes it."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

AGE = 3600.0
"""Seconds without a change after which nobody is writing it any more."""
_NAME = re.compile(r"\..+\.[a-z0-9_]{8}")
"""As tempfile makes them of atomic.py's prefix."""
_ENGINES = ("output", "datasets", "tensorboard")
"""Folders of an attempt in which the names are the engine's."""


def leftovers(folder: Path) -> Iterator[Path]:
    """Those below `folder` that nobody writes any more."""
    for place, folders, files in os.walk(folder):
        found = [name for name in (*folders, *files) if _NAME.fullmatch(name)]
        yield from (path for name in found if is_old(path := Path(place, name)))
        folders[:] = [name for name in folders if name not in (*found, *_ENGINES)]


def remove(path: Path) -> int:
    """The bytes that it took."""
    size = sum(one.lstat().st_size for one in (path, *path.rglob("*")) if one.is_file())
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return size


def is_old(path: Path, age: float = AGE) -> bool:
    """Whether nothing of it was written for so many seconds. Of a directory the newest of its
    files tells: a large one takes a while to copy."""
    try:
        newest = max(one.lstat().st_mtime for one in (path, *path.rglob("*")))
    except OSError:
        return False  # it has become what it was written for
    return time.time() - newest > age
