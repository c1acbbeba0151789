"""What was seen of a model's repository when it was last asked: `remote.json` beside its versions.
It tells where copies lie while the Hub is away; the repository itself stays the truth."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from pydantic import Field, ValidationError

from llmops.errors import BadInput
from llmops.registry.aliases import Move
from llmops.registry.manifest import VersionId
from llmops.registry.remote.layout import lines, number_of, tag
from llmops.registry.remote.repository import Look
from llmops.spec.grammar import Spec
from llmops.store.atomic import write_json
from llmops.store.paths import ProjectPaths


class Seen(Spec):
    """repository: ORG/NAME; versions: commits by number; moves: of aliases, by all machines, of
    those that this llmops can read."""

    repository: str
    time: str = Field(description="ISO 8601, UTC")
    versions: dict[int, str]
    moves: list[Move]

    @classmethod
    def of(cls, repository: str, look: Look, log: str) -> "Seen":
        """log: of the aliases there."""
        numbers = {number_of(name): commit for name, commit in look.tags.items()}
        return cls(
            repository=repository,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            versions={number: commit for number, commit in numbers.items() if number},
            moves=[*_moves(log)],
        )


def _moves(log: str) -> Iterator[Move]:
    for line in lines(log):
        with suppress(ValidationError):
            yield Move.model_validate_json(line)


def remember(seen: Seen, name: str, paths: ProjectPaths) -> None:
    write_json(paths.remote(name), seen.model_dump(mode="json"))


def seen(name: str, paths: ProjectPaths) -> Seen | None:
    """None for a model that was neither pushed nor pulled here."""
    try:
        return Seen.model_validate_json(paths.remote(name).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def moves_there(name: str, paths: ProjectPaths) -> list[Move]:
    """Raises BadInput for a model that was neither pushed nor pulled here."""
    known = seen(name, paths)
    if known is None:
        raise BadInput(
            f"`{name}` was neither pushed nor pulled here",
            fix=f"`llmops models push {name}` or `pull`",
        )
    return known.moves


def copy_of(version: VersionId, paths: ProjectPaths) -> str | None:
    """ORG/NAME@vN where a version lay when the Hub was last asked; None where it was not there."""
    known = seen(version.name, paths)
    if known is None or version.number not in known.versions:
        return None
    return f"{known.repository}@{tag(version.number)}"
