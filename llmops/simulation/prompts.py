"""What simulated users ask: JSON lines with `prompt`, and what the users know of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.errors import BadInput
from llmops.evaluation.items import read_rows
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
    found = [_prompt(row, place) for row, place in read_rows(path)]
    if not found:
        raise BadInput("there are no prompts", where=display(path))
    return found


def _prompt(row: Mapping[str, Any], where: str) -> Prompt:
    if not isinstance(row.get("prompt"), str) or not row["prompt"]:
        raise BadInput('each line needs a text: {"prompt": "..."}', where=where)
    for name in _KNOWN:
        if not isinstance(row.get(name), str | None):
            raise BadInput(f"`{name}` is not a text", where=where)
    answer = row.get("answer") or None
    return Prompt(row["prompt"], answer, row.get("ideal") or answer)
