"""Checkpoints that training can go on from, of all attempts that have not been registered."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmops.store.paths import ProjectPaths

_FOLDER = re.compile(r"checkpoint-([0-9]+)")


def checkpoints(paths: ProjectPaths, after: str | None = None) -> Iterator[dict[str, Any]]:
    """{id, run, stage, attempt, step, path, time, bytes} of each, of the newest runs first. after:
    only those that follow the one with that id. path: relative to the project."""
    for run in _newest(paths.runs):
        for stage in _folders(run):
            for attempt in _folders(stage):
                if attempt.name.isdigit():
                    for found in _of(run.name, stage.name, attempt, paths):
                        if after is None or _key(found["id"]) > _key(after):
                            yield found


def _of(run: str, stage: str, attempt: Path, paths: ProjectPaths) -> list[dict[str, Any]]:
    output = paths.run(run).attempt(stage, int(attempt.name)).output
    found = []
    for folder in _folders(output):
        match = _FOLDER.fullmatch(folder.name)
        if match is not None and (folder / "trainer_state.json").is_file():
            found.append(
                {
                    "id": f"{run}/{stage}/{attempt.name}/{match[1]}",
                    "run": run,
                    "stage": stage,
                    "attempt": int(attempt.name),
                    "step": int(match[1]),
                    "path": str(folder.relative_to(paths.root)),
                    "time": _time(folder),
                    "bytes": _size(folder),
                }
            )
    return sorted(found, key=lambda one: _key(str(one["id"])))


def _key(id: str) -> tuple[tuple[int, ...], str, int, int]:
    """The order of the list: the newest run first, then by stage, attempt and step."""
    from llmops.errors import BadInput

    run, _, rest = id.partition("/")
    stage, _, numbers = rest.partition("/")
    attempt, _, step = numbers.partition("/")
    if not (attempt.isdecimal() and step.isdecimal() and len(numbers) < 40):
        raise BadInput(f"`{id[:80]}` is no place in this list")
    newest_first = (*(-ord(sign) for sign in run), 1)
    return newest_first, stage, int(attempt), int(step)


def _newest(folder: Path) -> list[Path]:
    return sorted(_folders(folder), key=lambda one: (*(-ord(s) for s in one.name), 1))


def _folders(folder: Path) -> list[Path]:
    """Not those that others point to."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
    except OSError:
        return []
    return [folder / name for name in names]


def _time(folder: Path) -> str:
    seconds = (folder / "trainer_state.json").stat().st_mtime
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
