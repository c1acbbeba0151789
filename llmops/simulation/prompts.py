"""What simulated users ask: JSON lines with `prompt`, and what the users know of the answer."""

import json
from dataclasses import dataclass
from pathlib import Path

from llmops.errors import BadInput
from llmops.spec.source import display

_KNOWN = ("answer", "ideal")


@dataclass(frozen=True)
class Prompt:
    """A question. answer: a word or phrase that a right answer names; ideal: what an editor would
    write in place of a bad one. None where the users do not know."""

    text: str
    answer: str | None = None
    ideal: str | None = None


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a file; other fields are passed over. Raises BadInput, with the line."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the prompts cannot be read: {error}", where=display(path)) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found.append(_prompt(line, f"{display(path)}:{number}"))
    if not found:
        raise BadInput("there are no prompts", where=display(path))
    return found


def _prompt(line: str, where: str) -> Prompt:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput(f"this is not JSON: {error}", where=where) from error
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str) or not row["prompt"]:
        raise BadInput('each line needs a text: {"prompt": "..."}', where=where)
    for name in _KNOWN:
        if not isinstance(row.get(name), str | None):
            raise BadInput(f"`{name}` is not a text", where=where)
    answer = row.get("answer") or None
    return Prompt(row["prompt"], answer, row.get("ideal") or answer)
