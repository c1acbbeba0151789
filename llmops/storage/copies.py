"""The private copies of versions (serving/copies.py) of deployments that nobody serves: made again
when one is served again. A supervisor that runs keeps its own in order."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from llmops.serving.copies import MARK
from llmops.serving.state import read_state
from llmops.store.leftovers import remove
from llmops.store.paths import DeploymentPaths, ProjectPaths


def unloaded(project: ProjectPaths, version: str | None = None) -> list[Path]:
    """version: only those of it."""
    return [path for one in _deployments(project) for path in _copies(one, version)]


def discard(project: ProjectPaths, version: str | None = None) -> int:
    """Remove them; the bytes. No deployment whose copies go can be started meanwhile, and none is
    touched that is about to be served."""
    freed = 0
    for one in _deployments(project):
        with contextlib.suppress(Timeout), FileLock(one.lock, timeout=0):
            freed += sum(map(remove, _copies(one, version)))
    return freed


def _deployments(project: ProjectPaths) -> Iterator[DeploymentPaths]:
    """Those with copies that nobody serves now."""
    for folder in sorted(project.serving.glob("*/copies")):
        paths = DeploymentPaths(folder.parent)
        if read_state(paths) is None:
            yield paths


def _copies(paths: DeploymentPaths, version: str | None) -> list[Path]:
    found = sorted(path for path in paths.copies.iterdir() if path.is_dir())
    return [path for path in found if version in (None, _version(path))]


def _version(copy: Path) -> str | None:
    try:
        return str(json.loads((copy / MARK).read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        return None
