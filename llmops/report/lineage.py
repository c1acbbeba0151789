"""A lineage as one HTML page: a picture of the graph, and tables that say the same and more. It
needs no script, no network and no other file."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmops.report.page import page, table
from llmops.ui.drawing import draw
from llmops.ui.lineage import boxes, state_of
from llmops.ui.markup import Child, Html, tag

Record = Mapping[str, Any]
_SHORT = 12


def lineage_page(lineage: Record, asked: str) -> Html:
    """lineage: as `llmops lineage --json` prints it; asked: of what it is."""
    nodes: Sequence[Record] = lineage["nodes"]
    rows = {one["id"]: f"n{place}" for place, one in enumerate(nodes)}
    about = set(lineage["about"])
    drawn = draw(
        boxes(nodes, lineage, lambda one: f"#{rows[one['id']]}"),
        [(one["from"], one["to"]) for one in lineage["edges"]],
        title=f"the lineage of {asked}",
    )
    more = f"{drawn.left_out:,} more are only in the tables below." if drawn.left_out else None
    ends = {one["kind"] for one in nodes if one["id"] in about} == {"version"}
    title = f"Lineage of {asked}"
    made = datetime.now(UTC).isoformat(sep=" ", timespec="minutes")[:16]
    told = f"As it was on {made} UTC. An edge leads from what was used to what was made of it."
    body = [
        tag("header", tag("h1", title), tag("p", told, class_="quiet")),
        tag("section", drawn.html, more, class_="ends" if ends else "begins"),
        _notes(lineage["notes"]),
        tag("section", tag("h2", "What there is"), _nodes(nodes, rows)),
        tag("section", tag("h2", "How it hangs together"), _edges(lineage, rows)),
    ]
    style = (Path(__file__).parent / "lineage.css").read_text(encoding="utf-8")
    return page(title, body, style)


def details(facts: Record) -> str:
    """The facts of a node or an edge in a line."""
    told = ((name, value) for name, value in facts.items() if name != "told")
    return ", ".join(f"{name.replace('_', ' ')} {_value(name, value)}" for name, value in told)


def _value(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_value(name, one) for one in value)
    if name == "time" and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(" ", "minutes")[:16]
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = str(value)
    return text[:_SHORT] if name.startswith(("digest", "sha256")) else text


def _notes(notes: Sequence[str]) -> Html | None:
    return tag("section", tag("ul", [tag("li", one) for one in notes])) if notes else None


def _nodes(nodes: Iterable[Record], rows: Mapping[str, str]) -> Html:
    told = [
        (
            one["kind"],
            tag("span", one["label"], id=rows[one["id"]]),
            tag("span", state_of(one), class_="odd"),
            details(one["facts"]),
        )
        for one in nodes
    ]
    return table(("what", "name", "state", "facts"), told)


def _edges(lineage: Record, rows: Mapping[str, str]) -> Html:
    labels = {one["id"]: one["label"] for one in lineage["nodes"]}

    def cell(id: str) -> Child:
        return tag("a", labels[id], href=f"#{rows[id]}")

    told = [
        (cell(one["from"]), one["relation"], cell(one["to"]), details(one["facts"]))
        for one in lineage["edges"]
    ]
    return table(("used", "how", "made of it", "facts"), told)
