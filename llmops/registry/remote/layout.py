"""What lies where in a model's repository on the Hub.

    v3                          a tag: the commit whose top holds the files of NAME:v3
    manifest.json, README.md    of that version: what the registry knows, and the card
    registry/aliases.jsonl      every move of an alias, by time, of all machines that push
    registry/evidence.jsonl     what was measured of its versions, and notes.jsonl: said of them

main holds the version of the highest number, and the records of all. A version's files lie at the
top, so that vLLM, peft and transformers load the repository as any other. Pure: no network.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmops.errors import Failed
from llmops.store.paths import ProjectPaths

FOLDER = "registry"
ALIASES = f"{FOLDER}/aliases.jsonl"
PULLED = "pull "
"""How `by` begins of moves that only follow what another machine decided; they are not pushed."""


def tag(number: int) -> str:
    return f"v{number}"


def number_of(tag: str) -> int | None:
    """None for a tag that is no version's."""
    match = re.fullmatch(r"v([1-9][0-9]{0,9})", tag)
    return int(match[1]) if match else None


def records(name: str, paths: ProjectPaths) -> dict[str, Path]:
    """The logs that go along, here by their place in the repository."""
    logs = (paths.aliases(name), paths.evidence(name), paths.notes(name))
    return {f"{FOLDER}/{log.name}": log for log in logs}


def lines(log: str) -> list[str]:
    """Its records. Only a newline ends one: a text in it may hold what `splitlines` takes for an
    end, too."""
    return [line for line in log.split("\n") if line.strip()]


def lines_of(log: Path) -> list[str]:
    """The records of a local log that others are to know; without what a crash left of a line."""
    if not log.is_file():
        return []
    whole = log.read_text(encoding="utf-8").rpartition("\n")[0]
    return [line for line in lines(whole) if not _field(line, "by").startswith(PULLED)]


def merged(*logs: Iterable[str], where: str = "") -> str:
    """One log of all their records, each once, by time. What one log has in order stays so.

    where: the repository, for errors. Raises Failed for a line that is no record.
    """
    found: dict[str, tuple[str, str]] = {}
    for line in (line for log in logs for line in log):
        record = _record(line, where)
        # What is empty may be a field that came later: the record is the same.
        said = json.dumps({key: value for key, value in record.items() if value}, sort_keys=True)
        found.setdefault(said, (str(record.get("time", "")), line))
    ordered = sorted(found.values(), key=lambda one: one[0])
    return "".join(f"{line}\n" for _, line in ordered)


def standing(aliases: str, where: str = "") -> dict[str, str]:
    """Where each alias stands, by the log `aliases`: NAME:vN by alias. Raises as `merged`."""
    moves = [_record(line, where) for line in lines(aliases)]
    return {
        str(one["alias"]): str(one["version"]) for one in moves if {"alias", "version"} <= {*one}
    }


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Failed(
            "a record in the model's repository is damaged",
            where=where,
            fix=f"repair the files below {FOLDER}/ there, from an older commit",
        )
    return found


def _field(line: str, key: str) -> str:
    try:
        return str(json.loads(line).get(key, ""))
    except (ValueError, AttributeError):
        return ""
