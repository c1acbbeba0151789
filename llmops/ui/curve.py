"""One figure over the steps of a training, as SVG: no script is needed to see it.

Colours are page.css's; page.js shows the values below the pointer.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmops.ui.figure import number
from llmops.ui.markup import Html, tag

Point = tuple[float, float]
WIDTH, HEIGHT = 380, 176
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 22
MOST_POINTS = 240
"""Of a drawn line; more would not show on so many pixels."""


@dataclass(frozen=True)
class Line:
    """label: in a legend, where there is more than one. points: (step, value), by step."""

    label: str
    points: Sequence[Point]


def curve(title: str, lines: Sequence[Line], *, total: float = 0, note: str = "") -> Html:
    """total: the last step that is to come, so that the picture does not stretch while it grows;
    note: beside the title, instead of the last value."""
    drawn = [Line(one.label, thinned(one.points)) for one in lines]
    last = [one.points[-1][1] for one in lines if one.points]
    shown = note or (number(last[0]) if len(last) == 1 else "")
    head = tag("figcaption", tag("span", title), tag("span", shown, class_="ll-last"))
    if not last:
        waits = tag("div", "no figures yet", class_="ll-no-curve")
        return tag("figure", head, waits, class_="ll-curve")
    legend = None
    if len(lines) > 1:
        legend = tag("div", [_key(at, one) for at, one in enumerate(lines)], class_="ll-legend")
    return tag("figure", head, _picture(title, drawn, total), legend, class_="ll-curve")


def _key(at: int, line: Line) -> Html:
    last = number(line.points[-1][1]) if line.points else "none"
    return tag("span", tag("i", class_=f"ll-line-{at % 4 + 1}"), f"{line.label} {last}")


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most about so many points: the lowest and the highest of each part, so that a spike
    stays one. Values that are no number are left out."""
    found = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(found) <= most:
        return found
    parts = most // 2
    kept: list[Point] = []
    for part in range(parts):
        here = found[part * len(found) // parts : (part + 1) * len(found) // parts]
        low = min(here, key=lambda point: point[1])
        high = max(here, key=lambda point: point[1])
        kept += sorted({low, high})
    return [found[0], *kept[1:-1], found[-1]]


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round values that cover low to high: steps of 1, 2 or 5 times a power of ten."""
    if not low < high:
        pad = abs(low) * 0.5 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / most
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(base * factor for factor in (1, 2, 5, 10) if base * factor >= raw * 0.999999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def _picture(title: str, lines: Sequence[Line], total: float) -> Html:
    points = [point for line in lines for point in line.points]
    marks = ticks(min(y for _, y in points), max(y for _, y in points))
    begin = 0.0
    end = max(total, max(x for x, _ in points), 1.0)

    def across(x: float) -> float:
        return round(LEFT + (x - begin) / (end - begin) * (WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        share = (y - marks[0]) / (marks[-1] - marks[0])
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    grid = [
        (
            tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=down(mark), y2=down(mark)),
            tag("text", number(mark), x=LEFT - 6, y=down(mark) + 3.5, text_anchor="end"),
        )
        for mark in marks
    ]
    feet = [
        tag("text", "0", x=LEFT, y=HEIGHT - 6),
        tag("text", f"step {end:,.0f}", x=WIDTH - RIGHT, y=HEIGHT - 6, text_anchor="end"),
    ]
    paths = [
        tag(
            "polyline",
            points=" ".join(f"{across(x)},{down(y)}" for x, y in line.points),
            class_=f"ll-line-{at % 4 + 1}",
        )
        for at, line in enumerate(lines)
        if line.points
    ]
    ends = [
        tag("circle", cx=across(x), cy=down(y), r=3, class_=f"ll-line-{at % 4 + 1}")
        for at, line in enumerate(lines)
        for x, y in line.points[-1:]
    ]
    return tag(
        "svg",
        tag("g", grid, feet, class_="ll-grid-lines"),
        paths,
        ends,
        tag("line", class_="ll-cross", y1=TOP, y2=HEIGHT - BOTTOM, x1=-9, x2=-9),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{title}: {_told(lines)}",
        data_curve=json.dumps(
            [[[across(x), down(y), x, number(y)] for x, y in line.points] for line in lines],
            separators=(",", ":"),
        ),
    )


def _told(lines: Sequence[Line]) -> str:
    """The curve in words."""
    parts = []
    for line in lines:
        if line.points:
            (x0, y0), (x1, y1) = line.points[0], line.points[-1]
            name = f"{line.label} " if len(lines) > 1 else ""
            parts.append(f"{name}{number(y0)} at step {x0:.0f}, {number(y1)} at step {x1:.0f}")
    return "; ".join(parts)
