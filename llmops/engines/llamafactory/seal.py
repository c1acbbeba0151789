"""What the files of a checkpoint were when they had been written: their sha256, beside the engine's
output, so that a bit that flips on the disk is seen before training goes on from it.

The control plane seals while the engine trains; what was killed before that has no seal.
"""

import time
from pathlib import Path

from llmops.store.atomic import write_json
from llmops.store.digest import sha256_file
from llmops.store.files import read_object
from llmops.store.run_paths import AttemptPaths

SETTLED = 5.0
"""Seconds without a change after which a checkpoint is written: not all of its processes end at
once, and a reward model's weights are written twice."""


def seal(attempt: AttemptPaths, folder: Path, *, ended: bool) -> None:
    """Unless it is sealed as it is, or too young. ended: nobody writes it any more."""
    place, changed = attempt.seal(folder.name), _changed(folder)
    settled = ended or time.time() - changed / 1e9 > SETTLED
    if not settled or read_object(place).get("changed") == changed:
        return
    files = {str(file.relative_to(folder)): sha256_file(file) for file in _files(folder)}
    if _changed(folder) == changed:
        write_json(place, {"changed": changed, "files": files})


def broken(attempt: AttemptPaths, folder: Path) -> str:
    """Which file is not what was sealed, in words; empty when all are, or there is no seal."""
    for name, digest in read_object(attempt.seal(folder.name)).get("files", {}).items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if sha256_file(folder / name) != digest:
            return f"{name} is not what was written"
    return ""


def _files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file()]


def _changed(folder: Path) -> int:
    """When the newest of its files was, in nanoseconds since 1970; now, where it has none yet."""
    return max((file.stat().st_mtime_ns for file in _files(folder)), default=time.time_ns())
