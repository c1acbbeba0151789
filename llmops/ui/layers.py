"""Places for the nodes of a graph in layers, from left to right, and ways for its edges past them.

Every node stands right of all it follows from, each layer is ordered by what its nodes are joined
to, and an edge that spans layers has a place of its own in each, so that it runs through no node.
Pure and without randomness: the same graph is always drawn alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
_SWEEPS = 8
_LANE = 10.0
"""The height that an edge takes where it passes a layer."""


@dataclass(frozen=True)
class Sizes:
    """Of a box, and of the gaps between boxes beside and below each other."""

    width: float
    height: float
    across: float
    down: float


@dataclass(frozen=True)
class Layout:
    """places: the upper left corner of each node; ways: for each edge, by its place in the list,
    the points that it runs through; none for an edge from a node to itself."""

    places: Mapping[str, Point]
    ways: Sequence[Sequence[Point]]
    width: float
    height: float


def laid_out(nodes: Sequence[str], edges: Sequence[tuple[str, str]], sizes: Sizes) -> Layout:
    """edges: between known nodes, from what comes first. Edges of cycles are drawn, but move
    nothing."""
    layer = _layers(nodes, _without_cycles(nodes, edges))
    chains = [_chain(place, edge, layer) for place, edge in enumerate(edges)]
    rows: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for one in nodes:
        rows[layer[one]].append(one)
    for chain in chains:
        for step, lane in enumerate(chain[1:-1]):
            low = min(layer[chain[0]], layer[chain[-1]])
            rows[low + 1 + step].append(lane)
    before, after = _beside(chains, layer)
    for _ in range(_SWEEPS):
        _order(rows, before)
        _order(rows[::-1], after)
    tall = {one: _LANE for row in rows for one in row} | dict.fromkeys(nodes, sizes.height)
    middle = _middles(rows, before, after, tall, sizes.down)
    top = min((middle[one] - tall[one] / 2 for row in rows for one in row), default=0.0)
    left = {one: at * (sizes.width + sizes.across) for at, row in enumerate(rows) for one in row}
    centre = {one: middle[one] - top for one in middle}
    return Layout(
        {one: (left[one], centre[one] - sizes.height / 2) for one in nodes},
        [_way(chain, layer, left, centre, sizes.width) for chain in chains],
        max(len(rows) * (sizes.width + sizes.across) - sizes.across, 0.0),
        max((centre[one] + tall[one] / 2 for one in centre), default=0.0),
    )


def _without_cycles(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """What follows each node, but for the edges that lead back to where a walk came from."""
    after: dict[str, list[str]] = {one: [] for one in nodes}
    for a, b in edges:
        if a != b:
            after[a].append(b)
    kept: dict[str, list[str]] = {one: [] for one in nodes}
    begun: set[str] = set()
    ended: set[str] = set()
    for start in nodes:
        trail = [(start, iter(after[start]))] if start not in begun else []
        begun.add(start)
        while trail:
            here, rest = trail[-1]
            then = next(rest, None)
            if then is None:
                ended.add(here)
                trail.pop()
            elif then not in begun:
                kept[here].append(then)
                begun.add(then)
                trail.append((then, iter(after[then])))
            elif then in ended:
                kept[here].append(then)
    return kept


def _layers(nodes: Sequence[str], after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """One more than the last of those before; then as far right as its first use allows, so that
    what has a past of its own stands beside what it was used for."""
    waits = dict.fromkeys(nodes, 0)
    for those in after.values():
        for one in those:
            waits[one] += 1
    layer = dict.fromkeys(nodes, 0)
    ordered = [one for one in nodes if not waits[one]]
    for here in ordered:  # which grows
        for then in after[here]:
            layer[then] = max(layer[then], layer[here] + 1)
            waits[then] -= 1
            if not waits[then]:
                ordered.append(then)
    for one in reversed(ordered):
        if after[one]:
            layer[one] = min(layer[then] for then in after[one]) - 1
    return layer


def _chain(place: int, edge: tuple[str, str], layer: Mapping[str, int]) -> list[str]:
    """An edge from layer to layer: its ends, with a lane of its own in each layer between them."""
    a, b = edge
    low, high = sorted((layer[a], layer[b]))
    lanes = [f"\0{place}/{at}" for at in range(low + 1, high)]
    return [a, *(lanes if layer[a] <= layer[b] else lanes[::-1]), b]


def _beside(
    chains: Sequence[Sequence[str]], layer: Mapping[str, int]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What each node and lane is joined to in the layer before it, and in the one after."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for chain in chains:
        forward = chain if layer[chain[0]] <= layer[chain[-1]] else chain[::-1]
        for a, b in pairwise(forward):
            after.setdefault(a, []).append(b)
            before.setdefault(b, []).append(a)
    return before, after


def _order(rows: Sequence[list[str]], beside: Mapping[str, Sequence[str]]) -> None:
    """Order each layer by the middle of what its nodes are joined to in the layers so far."""
    at: dict[str, float] = {}
    for row in rows:
        key = {one: float(place) / max(len(row) - 1, 1) for place, one in enumerate(row)}
        for one in row:
            joined = [at[other] for other in beside.get(one, ()) if other in at]
            if joined:
                key[one] = sum(joined) / len(joined)
        row.sort(key=key.__getitem__)
        at.update({one: place / max(len(row) - 1, 1) for place, one in enumerate(row)})


def _middles(
    rows: Sequence[Sequence[str]],
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
    tall: Mapping[str, float],
    gap: float,
) -> dict[str, float]:
    """The height of each one's middle: near what it is joined to, none on another."""
    middle: dict[str, float] = {}
    for row in rows:
        middle.update(_apart(row, [0.0] * len(row), tall, gap))
    for sweep in range(_SWEEPS):
        beside = before if sweep % 2 == 0 else after
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = []
            for one in row:
                joined = [middle[other] for other in beside.get(one, ())]
                wanted.append(sum(joined) / len(joined) if joined else middle[one])
            middle.update(_apart(row, wanted, tall, gap))
    return middle


def _apart(
    row: Sequence[str], wanted: Sequence[float], tall: Mapping[str, float], gap: float
) -> dict[str, float]:
    """As near as may be to where each wants to be, in this order, with gaps: blocks of those that
    would be on each other move to the mean of what they want."""
    offsets, place = [], 0.0
    for at, one in enumerate(row):
        place += (tall[row[at - 1]] + tall[one]) / 2 + gap if at else 0.0
        offsets.append(place)
    blocks: list[tuple[float, int]] = []  # the mean that a block wants, and how many are in it
    for want, offset in zip(wanted, offsets, strict=True):
        mean, count = want - offset, 1
        while blocks and blocks[-1][0] >= mean:
            other, more = blocks.pop()
            mean = (mean * count + other * more) / (count + more)
            count += more
        blocks.append((mean, count))
    shifts = [mean for mean, count in blocks for _ in range(count)]
    found = zip(row, shifts, offsets, strict=True)
    return {one: shift + offset for one, shift, offset in found}


def _way(
    chain: Sequence[str],
    layer: Mapping[str, int],
    left: Mapping[str, float],
    centre: Mapping[str, float],
    width: float,
) -> list[Point]:
    """Out of the first node's side, along its lanes, into the last one's."""
    a, b = chain[0], chain[-1]
    if a == b:
        return []
    back = layer[a] > layer[b]
    out, into = (0.0, width) if back else (width, 0.0)
    points = [(left[a] + out, centre[a])]
    for lane in chain[1:-1]:
        points += [(left[lane] + into, centre[lane]), (left[lane] + out, centre[lane])]
    return [*points, (left[b] + into, centre[b])]
