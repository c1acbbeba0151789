"""What other machines measured and said of a version, taken over into this project's logs."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from llmops.registry.evidence import Evidence
from llmops.registry.manifest import VersionId
from llmops.registry.notes import Note
from llmops.registry.remote.layout import FOLDER, lines
from llmops.store.paths import ProjectPaths
from llmops.store.records import Records

R = TypeVar("R", Evidence, Note)


def take_over(version: VersionId, text: Callable[[str], str], paths: ProjectPaths) -> None:
    """The evidence about a version and the notes on it that are not known here. text: of a log by
    its place in the repository. What a newer llmops wrote in another form is left there."""
    name = version.name
    evidence = Records(paths.evidence(name), paths.lock(f"evidence-{name}"), Evidence, "evidence")
    notes = Records(paths.notes(name), paths.lock(f"notes-{name}"), Note, "notes")
    _append(evidence, Evidence, text(f"{FOLDER}/evidence.jsonl"), version)
    _append(notes, Note, text(f"{FOLDER}/notes.jsonl"), version)


def _append(log: Records[R], kind: type[R], text: str, version: VersionId) -> None:
    with log.held():
        known = {one.model_dump_json() for one in log.read()}
        for line in lines(text):
            try:
                record = kind.model_validate_json(line)
            except ValidationError:
                continue
            if not _is_moment(record.time):
                continue  # a promotion asks how old it is
            if record.version == str(version) and record.model_dump_json() not in known:
                log.append(record)


def _is_moment(time: str) -> bool:
    """As the logs here have it: the text itself is compared, too."""
    try:
        return bool(datetime.fromisoformat(time)) and time.endswith("+00:00")
    except ValueError:
        return False
