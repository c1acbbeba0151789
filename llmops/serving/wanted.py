"""Versions that others ask a running deployment to load: `.llmops/serving/NAME/wanted/ID.json`.

Whoever asks writes a file of its own and waits until the routing table lists the versions, or
until ID.error.json tells why they will not be; the wish holds until the file is gone or the asker
is dead. An evaluation asks like this for what no alias names yet.
"""

import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from llmops.errors import Failed, LlmopsError
from llmops.spec.grammar import Spec
from llmops.store.atomic import write_json
from llmops.store.liveness import is_alive, process_mark
from llmops.store.paths import DeploymentPaths


class Wish(Spec):
    """versions: NAME:vN; pid, mark: of the process that asks."""

    versions: list[str]
    pid: int
    mark: str


class Refusal(Spec):
    """Why a wish is not met, in the words of an error."""

    what: str
    where: str = ""
    fix: str = ""


@dataclass
class Asked:
    """A wish as its asker holds it. To be closed."""

    file: Path
    versions: tuple[str, ...]

    @property
    def error_file(self) -> Path:
        return self.file.with_suffix(".error.json")

    def problem(self) -> Failed | None:
        """Why it was refused, if it was."""
        try:
            told = Refusal.model_validate_json(self.error_file.read_bytes())
        except (OSError, ValidationError):
            return None
        return Failed(told.what, where=told.where, fix=told.fix)

    def close(self) -> None:
        self.file.unlink(missing_ok=True)
        self.error_file.unlink(missing_ok=True)


def ask(paths: DeploymentPaths, versions: Sequence[str]) -> Asked:
    """Ask for versions, in the name of this process."""
    paths.wanted.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():x}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    asked = Asked(paths.wanted / f"{name}.json", tuple(versions))
    wish = Wish(versions=list(versions), pid=os.getpid(), mark=process_mark(os.getpid()))
    write_json(asked.file, wish.model_dump())
    return asked


class Wishes:
    """The wishes of living processes, as the supervisor reads them."""

    def __init__(self, paths: DeploymentPaths) -> None:
        self._folder = paths.wanted
        self._read: dict[Path, Wish] = {}
        self._dead: list[Path] = []

    def versions(self) -> list[str]:
        """What is wanted now, each once. Reads only: a plan asks too."""
        wanted: dict[str, None] = {}
        for wish in self._current().values():
            wanted.update(dict.fromkeys(wish.versions))
        return list(wanted)

    def sweep(self) -> None:
        """Remove the wishes whose askers were dead when they were read last. For whoever serves
        the deployment."""
        for file in self._dead:
            Asked(file, ()).close()
        self._dead = []

    def refuse(self, version: str, error: LlmopsError) -> None:
        """Tell everyone who asked for it, once."""
        told = Refusal(what=error.what, where=error.where, fix=error.fix)
        for file, wish in self._read.items():
            answer = file.with_suffix(".error.json")
            if version in wish.versions and file.exists() and not answer.exists():
                write_json(answer, told.model_dump())

    def _current(self) -> dict[Path, Wish]:
        found: dict[Path, Wish] = {}
        self._dead = []
        for file in _files(self._folder):
            wish = self._read.get(file) or _wish(file)
            if wish is None:
                continue
            if is_alive(wish.pid, wish.mark):
                found[file] = wish
            else:
                self._dead.append(file)
        self._read = found
        return found


def _files(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    kept = (name for name in names if name.endswith(".json") and not name.startswith("."))
    return [folder / name for name in kept if not name.endswith(".error.json")]


def _wish(file: Path) -> Wish | None:
    """None for a file that is gone by now, or is none of ours."""
    try:
        return Wish.model_validate(json.loads(file.read_bytes()))
    except (OSError, ValueError, ValidationError):
        return None
