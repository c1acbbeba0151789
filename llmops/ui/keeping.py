"""What people say of a version, and deleting it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmops.ui.button import act
from llmops.ui.client import segment
from llmops.ui.figure import size
from llmops.ui.links import by, split_version
from llmops.ui.markup import Html, tag
from llmops.ui.panel import card, empty
from llmops.ui.stamp import stamp
from llmops.ui.table import table

if TYPE_CHECKING:
    from llmops.ui.frame import Ask


def notes_card(found: Mapping[str, Any]) -> Html:
    """found: of GET /models/NAME/versions/N."""
    notes = [one for one in found.get("notes") or () if one["text"]]
    rows = [(stamp(one["time"]), by(one["by"]), one["text"]) for one in notes]
    nothing = empty("No notes.", f'llmops models note {found["version"]} "TEXT" writes one.')
    return card("Notes", table(("When", "By", "Note"), rows, caption="notes", nothing=nothing))


def delete_button(found: Mapping[str, Any]) -> Html:
    """Refused by the API, with who it is, while something needs the version."""
    version = str(found["version"])
    return act(
        "Delete…",
        "delete_version",
        version,
        confirm=f"Delete {version}, {size(found['size'])}?\nIt cannot be brought back. Its number "
        "and what it was made of stay on record.",
        why="Why?",
        kind="danger",
        disabled=bool(found["aliases"]),
        title="An alias names it." if found["aliases"] else None,
    )


async def delete(ask: "Ask") -> None:
    name, number = split_version(ask.value) or ("", "")
    at = f"/models/{segment(name)}/versions/{segment(number)}/delete"
    done = await ask.api.post(at, {"why": ask.why})
    ask.say(tag("strong", f"{done['version']} is deleted:"), f"{size(done['freed'])} given back.")
    ask.go(tab="models", model=name)
