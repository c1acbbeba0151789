"""Aliases: names that move from version to version, with every move recorded.

`aliases.jsonl` beside a model's versions is a log of records (store/records.py); the last move of
an alias is where it stands. So "what was production at time T, and why" has an answer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import Field

from llmops.errors import BadInput, NotFound
from llmops.registry.manifest import VersionId
from llmops.spec.grammar import Spec
from llmops.spec.reference import NAME
from llmops.store.paths import ProjectPaths
from llmops.store.records import Records

_VERSION = rf"^{NAME}:v[1-9][0-9]*$"
TIME = r"^\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}(\.\d+)?\+00:00$"
OVERRIDE = "override-"
"""With which the id of an override begins."""
ROLLBACK = "rollback from "
"""With which the reason of a rollback begins."""


class Move(Spec):
    """One move of an alias. version, before: NAME:vN (before: None for a new alias);
    by: the person or the run that moved it; evidence: the ids of what it stands on."""

    time: str = Field(description="ISO 8601, UTC", pattern=TIME)
    alias: str
    version: str = Field(pattern=_VERSION)
    before: str | None = Field(None, pattern=_VERSION)
    why: str = ""
    by: str = ""
    evidence: list[str] = Field(default_factory=list)

    @property
    def overrides(self) -> bool:
        """Whether a person moved it without the evidence that it needs."""
        return any(piece.startswith(OVERRIDE) for piece in self.evidence)

    @property
    def rolls_back(self) -> bool:
        """Whether it went back by `rollback`."""
        return self.why.startswith(ROLLBACK)


class Aliases:
    """The aliases of all models of a project."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths

    def history(self, name: str, alias: str | None = None) -> list[Move]:
        """Every move of every alias of model `name`, or of one, oldest first.

        Raises Failed when the log is damaged other than at its end.
        """
        return [move for move in self._log(name).read() if alias in (None, move.alias)]

    def names(self, name: str, alias: str) -> VersionId | None:
        """What one alias of model `name` names; None for one that never moved."""
        return _last(self._log(name), alias)

    def current(self, name: str) -> dict[str, VersionId]:
        """Where each alias of model `name` stands."""
        return named(self.history(name))

    def rolled_back(self, alias: str, version: VersionId) -> Move | None:
        """The last rollback of `alias` from `version`."""
        about = self._log(version.name).newest(f'"{version}"'.encode())
        gone = (move for move in about if (move.alias, move.before) == (alias, str(version)))
        return next((move for move in gone if move.rolls_back), None)

    @contextmanager
    def held(self, name: str) -> Iterator["Held"]:
        """The aliases of model `name`, while nobody else moves one: what a move stands on is still
        so when it comes."""
        log = self._log(name)
        with log.held():
            yield Held(self._paths, log)

    def move(
        self, alias: str, version: VersionId, *, why: str, by: str, evidence: Sequence[str] = ()
    ) -> Move | None:
        """Let `alias` name `version` from now on. None when it already does.

        Raises BadInput for a name that no alias can have and for a version that is not there.
        """
        check_alias(alias)
        with self.held(version.name) as held:
            return held.move(alias, version, why=why, by=by, evidence=evidence)

    def _log(self, name: str) -> Records[Move]:
        lock = self._paths.lock(f"aliases-{name}")
        return Records(self._paths.aliases(name), lock, Move, "aliases")


class Held:
    """The aliases of one model, of which `Aliases.held` keeps others away."""

    def __init__(self, paths: ProjectPaths, log: Records[Move]) -> None:
        self._paths, self._log = paths, log

    def current(self, alias: str) -> VersionId | None:
        """What `alias` names; None for one that never moved."""
        return _last(self._log, alias)

    def move(
        self, alias: str, version: VersionId, *, why: str, by: str, evidence: Sequence[str] = ()
    ) -> Move | None:
        """As `Aliases.move`."""
        check_alias(alias)
        if not (self._paths.version(version.name, version.number) / "manifest.json").is_file():
            raise NotFound(f"there is no version {version}", fix="see `llmops models list`")
        before = self.current(alias)
        if before == version:
            return None
        move = Move(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            alias=alias,
            version=str(version),
            before=str(before) if before else None,
            why=why,
            by=by,
            evidence=list(evidence),
        )
        self._log.append(move)
        return move


def named(moves: Iterable[Move]) -> dict[str, VersionId]:
    """What each alias names after these moves of one model, oldest first."""
    return {alias: VersionId.parse(last.version) for alias, last in latest(moves).items()}


def latest(moves: Iterable[Move]) -> dict[str, Move]:
    """The last move of each alias."""
    return {move.alias: move for move in moves}


def _last(log: Records[Move], alias: str) -> VersionId | None:
    moves = (move for move in log.newest() if move.alias == alias)  # none is passed over unread
    return next((VersionId.parse(move.version) for move in moves), None)


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
