"""What a version was made of and what came of it: a picture, and a table that says the same."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmops.ui.drawing import Node, draw
from llmops.ui.links import split_version
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import empty
from llmops.ui.table import href, table

Found = Mapping[str, Any]
_ROWS = 300
"""Of the table; a base may have thousands of children."""


def lineage_view(version: str, lineage: Found) -> Html:
    """The graph as a picture, and as a table that says the same."""
    nodes: Sequence[Found] = lineage["nodes"]
    edges: Sequence[Found] = lineage["edges"]
    if not edges:
        return empty("Nothing is known of where it comes from.", "It was imported.")
    drawn = draw(
        boxes([one for one in nodes if one["kind"] != "evidence"], lineage, leads),  # has a card
        [(one["from"], one["to"]) for one in edges],
        title=f"what {version} was made of, and what came of it",
    )
    known = {one["id"]: one for one in nodes}
    rows = [
        (_cell(known[one["from"]]), one["relation"], _cell(known[one["to"]]))
        for one in edges[:_ROWS]
    ]
    cut = len(edges) > _ROWS
    whole = f"`llmops lineage {version} --html FILE` shows all" if cut else "the table has all"
    more = f"Not all of it is drawn: {whole}." if cut or drawn.left_out else None
    listed = table(("Used", "How", "Made of it"), rows, caption=f"the lineage of {version}")
    return joined(
        drawn.html,
        [tag("p", one, class_="ll-quiet") for one in (more, *lineage["notes"]) if one],
        tag("details", tag("summary", "The same as a table"), listed, class_="ll-details"),
    )


def boxes(nodes: Sequence[Found], lineage: Found, link: Callable[[Found], str]) -> list[Node]:
    """What is drawn of these nodes. link: where each leads. An alias that names a version no more
    is told from those that do."""
    now = {one["to"] for one in lineage["edges"] if one["relation"] == "named by"}
    return [
        Node(
            one["id"],
            name_of(one),
            "alias before" if one["kind"] == "alias" and one["id"] not in now else one["kind"],
            link(one),
            one["id"] in lineage["about"],
            state_of(one),
        )
        for one in nodes
    ]


def leads(node: Found) -> str:
    """Where a node of the lineage has its page; empty for what has none."""
    id, kind = node["id"], node["kind"]
    name = split_version(id)
    if kind == "version" and name is not None:
        return href({"tab": "models", "model": name[0], "version": name[1]})
    if kind == "run":
        return href({"tab": "runs", "run": id.partition(":")[2]})
    if kind == "recipe":
        return href({"tab": "train", "file": id.partition(":")[2]})
    return ""


def name_of(node: Found) -> str:
    """Short enough for a box: a file by its last name, without what its kind says."""
    label = str(node["label"]).removeprefix("answers of ").removeprefix("rows by ")
    return label.rpartition("/")[2] if node["kind"] in ("recipe", "data") else label


def state_of(node: Found) -> str:
    """In words; empty for what is there as it was."""
    words = {"changed": "changed since", "erased": "partly erased"}
    return words.get(node["state"], str(node["state"]))


def _cell(node: Found) -> Html:
    to = leads(node)
    label = tag("a", node["label"], href=to) if to else node["label"]
    state = state_of(node)
    odd = [" ", tag("span", state, class_="ll-problem")] if state else None
    return joined(tag("span", node["kind"], class_="ll-quiet"), " ", label, odd)
