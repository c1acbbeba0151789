"""A graph in layers, from what was used on the left to what was made of it on the right, as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmops.ui.markup import Html, link, tag

MOST = 9
"""Nodes of one layer that are drawn; whoever calls says how many are not."""
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 158, 40, 38, 12
_LETTERS = 21


@dataclass(frozen=True)
class Node:
    """kind: what it is, a word under its label, and `ll-item-KIND`; href: `?tab=...` or empty."""

    id: str
    label: str
    kind: str
    href: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Drawing:
    """html: the picture; left_out: how many nodes are not in it."""

    html: Html
    left_out: int


def draw(nodes: Sequence[Node], edges: Sequence[tuple[str, str]], *, title: str) -> Drawing:
    """Draw it. title: for those who hear the page. Edges of cycles are drawn, but move nothing."""
    by_id = {node.id: node for node in nodes}
    known = [(a, b) for a, b in edges if a in by_id and b in by_id and a != b]
    columns = _columns(by_id, known)
    kept = {id for column in columns for id in column}
    place = _places(columns)
    width = len(columns) * (_WIDTH + _ACROSS) - _ACROSS + 4
    height = max((len(column) for column in columns), default=0) * (_HEIGHT + _DOWN) - _DOWN + 4
    lines = [_edge(place[a], place[b]) for a, b in known if a in kept and b in kept]
    boxes = [_box(by_id[id], *place[id]) for column in columns for id in column]
    picture = tag(
        "svg",
        tag("title", title),
        lines,
        boxes,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        class_="ll-drawing",
        role="group",
        aria_label=title,
    )
    shown = tag(
        "div", picture, class_="ll-drawing-frame", tabindex="0", role="region", aria_label=title
    )
    return Drawing(shown, len(by_id) - len(kept))


def _columns(nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Ids by layer: each right of all it was made of; what was made of nothing stands right
    before its first use. Within a layer, beside what it is joined to."""
    after: dict[str, list[str]] = {id: [] for id in nodes}
    before: dict[str, list[str]] = {id: [] for id in nodes}
    for a, b in edges:
        after[a].append(b)
        before[b].append(a)
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:  # at most as many rounds as there are nodes: a cycle ends too
        changed = False
        for a, b in edges:
            if layer[b] <= layer[a]:
                layer[b], changed = layer[a] + 1, True
        if not changed:
            break
    for id in nodes:
        if not before[id] and after[id]:
            layer[id] = max(0, min(layer[b] for b in after[id]) - 1)
    used = sorted(set(layer.values()))
    columns = [[id for id in nodes if layer[id] == one] for one in used]
    for _ in range(4):
        _settle(columns, before)
        _settle(columns[::-1], after)
    strong_first = [sorted(column, key=lambda id: not nodes[id].strong) for column in columns]
    kept = [set(column[:MOST]) for column in strong_first]
    return [[id for id in column if id in kept[i]] for i, column in enumerate(columns)]


def _settle(columns: Sequence[list[str]], beside: Mapping[str, list[str]]) -> None:
    """Order each column by the middle of what its nodes are joined to in the columns before."""
    at: dict[str, float] = {}
    for column in columns:

        def middle(
            id: str, order: Mapping[str, int] = {id: i for i, id in enumerate(column)}
        ) -> float:
            joined = [at[one] for one in beside[id] if one in at]
            return sum(joined) / len(joined) if joined else float(order[id]) - len(order) / 2

        column.sort(key=middle)
        at.update({id: i - (len(column) - 1) / 2 for i, id in enumerate(column)})


def _places(columns: Sequence[Sequence[str]]) -> dict[str, tuple[float, float]]:
    """The top left corner of each node; columns are centred."""
    most = max((len(column) for column in columns), default=0)
    found = {}
    for i, column in enumerate(columns):
        top = (most - len(column)) * (_HEIGHT + _DOWN) / 2
        for j, id in enumerate(column):
            found[id] = (2.0 + i * (_WIDTH + _ACROSS), 2 + top + j * (_HEIGHT + _DOWN))
    return found


def _edge(start: tuple[float, float], end: tuple[float, float]) -> Html:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT / 2
    x2, y2 = end[0], end[1] + _HEIGHT / 2
    bend = max(_ACROSS / 2, abs(x2 - x1) / 2)
    return tag(
        "path", d=f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}", class_="ll-thread"
    )


def _box(node: Node, x: float, y: float) -> Html:
    label = node.label if len(node.label) <= _LETTERS else node.label[: _LETTERS - 1] + "…"
    inside = [
        tag("title", f"{node.kind}: {node.label}"),
        tag("rect", x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=8),
        tag("text", node.kind, x=x + 11, y=y + 15, class_="ll-item-kind"),
        tag("text", label, x=x + 11, y=y + 30, class_="ll-item-label"),
    ]
    kind = f"ll-item ll-item-{node.kind.replace(' ', '-')}" + (" ll-strong" if node.strong else "")
    return link(inside, node.href, class_=kind) if node.href else tag("g", *inside, class_=kind)
