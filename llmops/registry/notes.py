"""Tags of versions and notes about them: what people say of a version once it is there.

`notes.jsonl` beside a model's versions is a log of records (store/records.py); a version itself
never changes. A tag is a key, with a value where it needs one; setting it again replaces the value.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import Field

from llmops.errors import BadInput
from llmops.registry.manifest import VersionId
from llmops.spec.grammar import Spec
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths
from llmops.store.records import Records

Tags = dict[str, str]
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")


class Note(Spec):
    """One record about the version NAME:vN. tags: by key, the value that was set, None for a tag
    that was taken away; text: of a note."""

    time: str = Field(description="ISO 8601, UTC")
    version: str
    by: str
    tags: dict[str, str | None] = Field(default_factory=dict)
    text: str = ""


class Notes:
    """The tags and notes of all models of a project. Who calls knows that the version is there."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths

    def tag(self, version: VersionId, tags: Tags, *, by: str) -> None:
        self._add(Note(time=_now(), version=str(version), by=by, tags=dict(tags)))

    def untag(self, version: VersionId, keys: Sequence[str], *, by: str) -> None:
        """Raises BadInput, with the nearest tag, for one that the version does not have."""
        known = self.tags(version.name).get(str(version), {})
        for key in keys:
            if key not in known:
                fix = did_you_mean(key, known) or f"see `llmops models show {version}`"
                raise BadInput(f"{version} has no tag `{key}`", fix=fix)
        self._add(Note(time=_now(), version=str(version), by=by, tags=dict.fromkeys(keys)))

    def note(self, version: VersionId, text: str, *, by: str) -> None:
        """Raises BadInput for an empty text."""
        if not text.strip():
            raise BadInput("a note needs a text", fix=f'`llmops models note {version} "TEXT"`')
        self._add(Note(time=_now(), version=str(version), by=by, text=text.strip()))

    def tags(self, name: str) -> dict[str, Tags]:
        """The tags that the versions of model `name` have now, by NAME:vN."""
        found: dict[str, Tags] = {}
        for record in self._read(name):
            tags = found.setdefault(record.version, {})
            for key, value in record.tags.items():
                tags.pop(key, None)
                if value is not None:
                    tags[key] = value
        return found

    def of(self, version: VersionId) -> list[Note]:
        """Everything that was said of a version, oldest first."""
        return [one for one in self._read(version.name) if one.version == str(version)]

    def _read(self, name: str) -> list[Note]:
        """By time: what another machine said is appended when it is pulled."""
        return sorted(self._log(name).read(), key=lambda one: one.time)

    def _add(self, note: Note) -> None:
        log = self._log(VersionId.parse(note.version).name)
        with log.held():
            log.append(note)

    def _log(self, name: str) -> Records[Note]:
        return Records(self._paths.notes(name), self._paths.lock(f"notes-{name}"), Note, "notes")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def parse_tags(given: Iterable[str]) -> Tags:
    """`KEY=VALUE` or `KEY` each. Raises BadInput for what cannot be a key."""
    found = {}
    for text in given:
        key, _, value = text.partition("=")
        if not _KEY.fullmatch(key):
            raise BadInput(
                f"`{key}` cannot be a tag",
                fix="write KEY or KEY=VALUE; a key is of letters, digits, `.`, `_`, `-` and `/`, "
                "at most 64",
            )
        found[key] = value
    return found


def tags_text(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" if value else key for key, value in tags.items())
