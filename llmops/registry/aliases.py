"""Aliases: names that move from version to version, with every move recorded.

`aliases.jsonl` beside a model's versions is a log of records (store/records.py); the last move of
an alias is where it stands. So "what was production at time T, and why" has an answer.
"""

import re
from datetime import UTC, datetime

from pydantic import Field

from llmops.errors import BadInput, NotFound
from llmops.registry.manifest import VersionId
from llmops.spec.grammar import Spec
from llmops.spec.reference import NAME
from llmops.store.paths import ProjectPaths
from llmops.store.records import Records


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
        return self._log(name).read()

    def current(self, name: str) -> dict[str, VersionId]:
        """Where each alias of model `name` stands."""
        return {move.alias: VersionId.parse(move.version) for move in self.history(name)}

    def move(self, alias: str, version: VersionId, *, why: str, by: str) -> Move | None:
        """Let `alias` name `version` from now on. None when it already does.

        Raises BadInput for a name that no alias can have and for a version that is not there.
        """
        check_alias(alias)
        if not (self._paths.version(version.name, version.number) / "manifest.json").is_file():
            raise NotFound(f"there is no version {version}", fix="see `llmops models list`")
        log = self._log(version.name)
        with log.held():
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
            log.append(move)
        return move

    def _log(self, name: str) -> Records[Move]:
        lock = self._paths.lock(f"aliases-{name}")
        return Records(self._paths.aliases(name), lock, Move, "aliases")


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
