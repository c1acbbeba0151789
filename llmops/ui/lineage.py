"""What a version was made of and what came of it: a picture, and a table that says the same."""

from collections.abc import Mapping, Sequence
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
        [
            Node(one["id"], name_of(one), one["kind"], leads(one), one["id"] == version,
                 state_of(one))
            for one in nodes
            if one["kind"] != "evidence"  # it has a card of its own
        ],
        [(one["from"], one["to"]) for one in edges],
        title=f"what {version} was made of, and what came of it",
    )  # fmt: skip
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
