"""What was seen of a model's repository when it was last asked: `remote.json` beside its versions.
It tells where copies lie while the Hub is away; the repository itself stays the truth."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import Field, ValidationError

from llmops.registry.manifest import VersionId
from llmops.registry.remote.layout import number_of, tag
from llmops.registry.remote.repository import Look
from llmops.spec.grammar import Spec
from llmops.store.atomic import write_json
from llmops.store.paths import ProjectPaths


class Seen(Spec):
    """repository: ORG/NAME; versions: commits by number; aliases: NAME:vN by alias, as they stand
    there."""

    repository: str
    time: str = Field(description="ISO 8601, UTC")
    versions: dict[int, str]
    aliases: dict[str, str]

    @classmethod
    def of(cls, repository: str, look: Look, aliases: Mapping[str, str]) -> "Seen":
        numbers = {number_of(name): commit for name, commit in look.tags.items()}
        return cls(
            repository=repository,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            versions={number: commit for number, commit in numbers.items() if number},
            aliases=dict(aliases),
        )


def remember(seen: Seen, name: str, paths: ProjectPaths) -> None:
    write_json(paths.remote(name), seen.model_dump(mode="json"))


def seen(name: str, paths: ProjectPaths) -> Seen | None:
    """None for a model that was neither pushed nor pulled here."""
    try:
        return Seen.model_validate_json(paths.remote(name).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def copy_of(version: VersionId, paths: ProjectPaths) -> str | None:
    """ORG/NAME@vN where a version lay when the Hub was last asked; None where it was not there."""
    known = seen(version.name, paths)
    if known is None or version.number not in known.versions:
        return None
    return f"{known.repository}@{tag(version.number)}"
