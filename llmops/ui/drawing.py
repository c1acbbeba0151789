"""A graph in layers, from what was used on the left to what was made of it on the right, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from llmops.ui.layers import Point, Sizes, laid_out
from llmops.ui.markup import Html, link, tag

MOST = 400
"""Nodes that are drawn, those nearest to the strong ones; whoever calls says how many are not."""
_CROWD = 4
"""So many of one kind, joined to the same others, are drawn as one."""
_LISTED = 30
_SMALLEST = 0.75
"""Of its natural size: where there is less room, it is moved instead."""
_SIZES = Sizes(width=186, height=42, across=44, down=14)
_LETTERS = 22
_PLURALS = {"data": "data files", "preferences": "snapshots", "evidence": "pieces of evidence",
            "answers": "groups of answers", "events": "kinds of events", "pairs": "groups of rows",
            "alias": "aliases", "alias before": "aliases before",
            "hub": "places on the Hub"}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """kind: what it is, a word above its label, and `ll-item-KIND`; href: `?tab=...`, `#ID` or
    empty; state: what is odd about it, in a word; more: the labels of the others that this one
    stands for, too."""

    id: str
    label: str
    kind: str
    href: str = ""
    strong: bool = False
    state: str = ""
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """html: the picture; left_out: how many nodes are not in it."""

    html: Html
    left_out: int


def draw(nodes: Sequence[Node], edges: Sequence[tuple[str, str]], *, title: str) -> Drawing:
    """Draw it. title: for those who hear the page."""
    known = {node.id for node in nodes}
    inside = list(dict.fromkeys((a, b) for a, b in edges if a in known and b in known and a != b))
    folded, joined = fold(nodes, inside)
    kept = _nearest(folded, joined)
    drawn = [node for node in folded if node.id in kept]
    ends = [(a, b) for a, b in joined if a in kept and b in kept]
    layout = laid_out([node.id for node in drawn], ends, _SIZES)
    width, height = layout.width + 4, layout.height + 4
    picture = tag(
        "svg",
        tag("title", title),
        [_edge(way) for way in layout.ways],
        [_box(node, *layout.places[node.id]) for node in drawn],
        viewBox=f"-2 -2 {width:.0f} {height:.0f}",
        style=f"max-width:{width:.0f}px;min-width:{width * _SMALLEST:.0f}px",
        class_="ll-drawing",
        role="group",
        aria_label=title,
    )
    shown = tag(
        "div", picture, class_="ll-drawing-frame", tabindex="0", role="region", aria_label=title
    )
    return Drawing(shown, len(folded) - len(drawn))


def fold(
    nodes: Sequence[Node], edges: Sequence[tuple[str, str]]
) -> tuple[list[Node], list[tuple[str, str]]]:
    """With a crowd of one kind that is joined to the same others as one node."""
    before: dict[str, set[str]] = {node.id: set() for node in nodes}
    after: dict[str, set[str]] = {node.id: set() for node in nodes}
    for a, b in edges:
        after[a].add(b)
        before[b].add(a)
    crowds: dict[object, list[Node]] = {}
    for node in nodes:
        alike = (node.kind, node.state, frozenset(before[node.id]), frozenset(after[node.id]))
        crowds.setdefault(node.id if node.strong else alike, []).append(node)
    stands: dict[str, str] = {}
    found: list[Node] = []
    for crowd in crowds.values():
        whole = [_crowd(crowd)] if len(crowd) >= _CROWD else crowd
        found += whole
        stands |= {node.id: whole[0].id if len(whole) == 1 else node.id for node in crowd}
    return found, list(dict.fromkeys((stands[a], stands[b]) for a, b in edges))


def _crowd(crowd: Sequence[Node]) -> Node:
    first = crowd[0]
    label = f"{len(crowd):,} {_PLURALS.get(first.kind, f'{first.kind}s')}"
    return replace(first, label=label, more=tuple(node.label for node in crowd))


def _nearest(nodes: Sequence[Node], edges: Sequence[tuple[str, str]]) -> set[str]:
    """The ids of those that are drawn: by steps from the strong ones."""
    beside: dict[str, list[str]] = {}
    for a, b in edges:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)

    queue = [node.id for node in nodes if node.strong]
    seen = dict.fromkeys(queue)
    for here in queue:  # which grows
        fresh = [other for other in beside.get(here, ()) if other not in seen]
        seen |= dict.fromkeys(fresh)
        queue += fresh
    seen |= dict.fromkeys(node.id for node in nodes)
    return set(list(seen)[:MOST])


def _edge(way: Sequence[Point]) -> Html:
    """Level past nodes, bent between them."""
    (x, y), *_ = way
    path = f"M{x:.1f} {y:.1f}"
    for place, ((x1, y1), (x2, y2)) in enumerate(pairwise(way)):
        middle = (x1 + x2) / 2
        bent = f"C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        path += f"L{x2:.1f} {y2:.1f}" if place % 2 else bent
    return tag("path", d=path, class_="ll-thread")


def _box(node: Node, x: float, y: float) -> Html:
    label = node.label if len(node.label) <= _LETTERS else node.label[: _LETTERS - 1] + "…"
    told = f"{node.kind} · {node.state}" if node.state else node.kind
    listed = [*node.more[:_LISTED], *(["…"] if len(node.more) > _LISTED else [])]
    width, height = _SIZES.width, _SIZES.height
    inside = [
        tag("title", "\n".join([f"{told}: {node.label}", *listed])),
        tag("rect", x=f"{x + 4:.1f}", y=f"{y - 4:.1f}", width=width - 4, height=height - 2, rx=8)
        if node.more
        else None,
        tag("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=width, height=height, rx=8),
        tag("text", told, x=f"{x + 11:.1f}", y=f"{y + 16:.1f}", class_="ll-item-kind"),
        tag("text", label, x=f"{x + 11:.1f}", y=f"{y + 32:.1f}", class_="ll-item-label"),
    ]
    kind = f"ll-item ll-item-{node.kind.replace(' ', '-')}" + (" ll-strong" if node.strong else "")
    kind += " ll-odd" if node.state else ""
    return link(inside, node.href, class_=kind) if node.href else tag("g", *inside, class_=kind)
