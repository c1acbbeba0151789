"""The stages of a run and what follows what, drawn in columns from left to right."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.figure import span
from llmops.ui.markup import Html, tag
from llmops.ui.state import tone
from llmops.ui.table import href

WIDTH, HEIGHT = 104, 46
BESIDE, BELOW = 26, 16


def columns(names: Sequence[str], edges: Sequence[Sequence[str]]) -> dict[str, int]:
    """The column of each stage: one more than the last of those before it. An edge that closes a
    circle is as if it were not there."""
    known = set(names)
    before: dict[str, list[str]] = {name: [] for name in names}
    for first, then in edges:
        if first in known and then in known and first != then:
            before[then].append(first)
    found: dict[str, int] = {}

    def column(name: str, trail: frozenset[str]) -> int:
        if name not in found:
            inner = trail | {name}
            earlier = [column(one, inner) for one in before[name] if one not in inner]
            found[name] = max(earlier, default=-1) + 1
        return found[name]

    for name in names:
        column(name, frozenset())
    return found


def stage_graph(run: str, graph: Mapping[str, Any], chosen: str) -> Html:
    """graph: nodes {name, kind, state, seconds} and edges [from, to]; each node is a link to the
    stage's page. chosen: the one whose page this is."""
    nodes = graph.get("nodes") or []
    edges = [edge for edge in graph.get("edges") or [] if len(edge) == 2]
    place = _places([node["name"] for node in nodes], edges)
    wide = max((x for x, _ in place.values()), default=0) + WIDTH + 2
    high = max((y for _, y in place.values()), default=0) + HEIGHT + 2
    wires = [_wire(place[a], place[b]) for a, b in edges if a in place and b in place]
    boxes = [_box(run, node, place[node["name"]], node["name"] == chosen) for node in nodes]
    picture = tag(
        "svg",
        wires,
        boxes,
        viewBox=f"0 0 {wide} {high}",
        style=f"max-width:{wide}px;min-width:{round(wide * 0.72)}px",
        role="group",
        aria_label="stages",
    )
    return tag("div", picture, class_="ll-graph", tabindex="0", role="region", aria_label="stages")


def _places(names: Sequence[str], edges: Sequence[Sequence[str]]) -> dict[str, tuple[int, int]]:
    """The upper left corner of each stage's box."""
    found: dict[str, tuple[int, int]] = {}
    filled: dict[int, int] = {}
    for name, column in columns(names, edges).items():
        row = filled.get(column, 0)
        filled[column] = row + 1
        found[name] = (1 + column * (WIDTH + BESIDE), 1 + row * (HEIGHT + BELOW))
    return found


def _wire(begin: tuple[int, int], end: tuple[int, int]) -> Html:
    x1, y1 = begin[0] + WIDTH, begin[1] + HEIGHT / 2
    x2, y2 = end[0], end[1] + HEIGHT / 2
    near = x1 + BESIDE / 2
    if x2 - x1 <= BESIDE:
        bend = f"M{x1} {y1} C{near} {y1} {near} {y2} {x2} {y2}"
    else:  # past other boxes: below them
        low = max(y1, y2) + HEIGHT / 2 + BELOW / 2
        far = x2 - BESIDE / 2
        bend = (
            f"M{x1} {y1} C{near} {y1} {near} {low} {near + 12} {low} "
            f"L{far - 12} {low} C{far} {low} {far} {y2} {x2} {y2}"
        )
    return tag("path", d=bend, class_="ll-wire")


def _box(run: str, node: Mapping[str, Any], place: tuple[int, int], chosen: bool) -> Html:
    x, y = place
    name, state = str(node["name"]), str(node["state"])
    took = span(node.get("seconds")) if node.get("seconds") else ""
    words = tag("tspan", state) if not took else [tag("tspan", state), tag("tspan", f" {took}")]
    return tag(
        "a",
        tag("title", f"{name} ({node.get('kind', '')}): {state} {took}"),
        tag("rect", x=x, y=y, width=WIDTH, height=HEIGHT, rx=8, class_="ll-box"),
        tag("rect", x=x, y=y + 8, width=3, height=HEIGHT - 16, rx=1.5, class_="ll-edge"),
        tag("text", _short(name), x=x + 12, y=y + 20, class_="ll-name"),
        tag("text", words, x=x + 12, y=y + 35, class_="ll-sub"),
        href=href({"tab": "runs", "run": run, "stage": name}),
        class_=f"ll-node ll-{tone(state)}" + (" ll-chosen" if chosen else ""),
        aria_current="true" if chosen else None,
    )


def _short(name: str, most: int = 13) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
