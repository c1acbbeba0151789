"""Aliases: names that move from version to version, with every move recorded.

`aliases.jsonl` beside a model's versions is an append-only log, one move to a line; the last line
of an alias is where it stands. So "what was production at time T, and why" has an answer. A line
counts once its newline is on disk: what a crash left of a line is ignored, and cut off by the
next move.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import Field, ValidationError

from llmops.errors import BadInput, Failed
from llmops.registry.manifest import VersionId
from llmops.spec.grammar import Spec
from llmops.spec.reference import NAME
from llmops.spec.source import display
from llmops.store.atomic import append_line
from llmops.store.paths import ProjectPaths


class Move(Spec):
    """One move of an alias. version, before: NAME:vN (before: None for a new alias);
    by: the person or the run that moved it."""

    time: str = Field(description="ISO 8601, UTC")
    alias: str
    version: str
    before: str | None = None
    why: str = ""
    by: str = ""


class Aliases:
    """The aliases of all models of a project."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths

    def history(self, name: str) -> list[Move]:
        """Every move of every alias of model `name`, oldest first.

        Raises Failed when the log is damaged other than at its end.
        """
        path = self._paths.aliases(name)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return []
        moves = []
        for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), start=1):
            try:
                moves.append(Move.model_validate_json(line))
            except ValidationError as error:
                raise Failed(
                    "the record of the aliases is damaged",
                    where=f"{display(path)}:{number}",
                    fix="restore the file from a backup, or remove this line",
                ) from error
        return moves

    def current(self, name: str) -> dict[str, VersionId]:
        """Where each alias of model `name` stands."""
        return {move.alias: VersionId.parse(move.version) for move in self.history(name)}

    def at(self, name: str, alias: str, time: datetime) -> VersionId | None:
        """The version that `alias` named at `time` (with a time zone); None before its first."""
        found = None
        for move in self.history(name):
            if move.alias == alias and datetime.fromisoformat(move.time) <= time:
                found = VersionId.parse(move.version)
        return found

    def move(self, alias: str, version: VersionId, *, why: str, by: str) -> Move | None:
        """Let `alias` name `version` from now on. None when it already does.

        Raises BadInput for a name that no alias can have and for a version that is not there.
        """
        check_alias(alias)
        if not (self._paths.version(version.name, version.number) / "manifest.json").is_file():
            raise BadInput(f"there is no version {version}", fix="see `llmops models list`")
        with self._locked(version.name):
            before = self.current(version.name).get(alias)
            if before == version:
                return None
            move = Move(
                time=datetime.now(UTC).isoformat(timespec="milliseconds"),
                alias=alias,
                version=str(version),
                before=str(before) if before else None,
                why=why,
                by=by,
            )
            self._cut_torn_line(version.name)
            append_line(self._paths.aliases(version.name), move.model_dump_json())
        return move

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        from filelock import FileLock

        lock = self._paths.lock(f"aliases-{name}")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield

    def _cut_torn_line(self, name: str) -> None:
        """Remove what a crash left behind the last newline, or it would spoil the next line."""
        try:
            with self._paths.aliases(name).open("r+b") as file:
                text = file.read()
                end = text.rfind(b"\n") + 1
                if end != len(text):
                    file.truncate(end)
                    os.fsync(file.fileno())
        except FileNotFoundError:
            return


def check_alias(alias: str) -> None:
    """Raises BadInput when `alias` cannot be an alias: it is no name, or looks like a version."""
    if not re.fullmatch(NAME, alias):
        raise BadInput(
            f"`{alias}` cannot be an alias",
            fix="an alias is of lower-case letters, digits, `.`, `_` and `-`, at most 64",
        )
    if re.fullmatch(r"v[0-9]+", alias):
        raise BadInput(
            f"`{alias}` cannot be an alias: it looks like a version",
            fix="choose another name, such as `production`",
        )
