"""What each alias of a model named, and when: a lane for each alias, and every move as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from llmops.ui.figure import moment
from llmops.ui.links import by, split_version, to_version
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import empty
from llmops.ui.stamp import stamp
from llmops.ui.state import badge
from llmops.ui.table import page, pager, table

FIRST = ("production", "candidate")
"""Aliases whose lanes come first; the rest by name."""
MOST_SPANS = 120
"""Of one lane that are drawn; the table has all moves."""
ROWS = 8
_COLOURS = 4
_LABELLED = 5.0
"""Percent of the width below which a span has no room for its name."""


@dataclass(frozen=True)
class Span:
    """An alias named `version` from `start` to `end` (None: it still does)."""

    version: str
    start: datetime
    end: datetime | None
    why: str


def lanes(moves: Sequence[Mapping[str, Any]]) -> dict[str, list[Span]]:
    """The spans of each alias. moves: of a model's history, oldest first."""
    found: dict[str, list[Span]] = {}
    for move in moves:
        time = moment(move["time"])
        if time is None:
            continue
        lane = found.setdefault(str(move["alias"]), [])
        if lane:
            last = lane[-1]
            lane[-1] = Span(last.version, last.start, max(time, last.start), last.why)
        lane.append(Span(str(move["version"]), time, None, str(move.get("why") or "")))
    return {alias: found[alias] for alias in sorted(found, key=_order)}


def since(moves: Sequence[Mapping[str, Any]], alias: str) -> Mapping[str, Any] | None:
    """The move that brought an alias to where it stands."""
    return next((move for move in reversed(moves) if move["alias"] == alias), None)


def timeline(moves: Sequence[Mapping[str, Any]], now: datetime | None = None) -> Html:
    """The lanes from the first move until now. Hidden from screen readers: `moves_table` says the
    same."""
    found = lanes(moves)
    if not found:
        return joined()
    end = now or datetime.now(UTC)
    start = min(spans[0].start for spans in found.values())
    scale = _Scale(start, max(end, start + timedelta(minutes=1)))
    rows = [
        tag(
            "div",
            tag("span", alias, class_="ll-lane-name"),
            tag("div", [_span(one, scale) for one in spans[-MOST_SPANS:]], class_="ll-lane-track"),
            class_="ll-lane",
        )
        for alias, spans in found.items()
    ]
    axis = tag(
        "div", tag("span"), tag("div", _ticks(scale), class_="ll-lane-axis"), class_="ll-lane"
    )
    return tag("div", rows, axis, class_="ll-timeline", aria_hidden="true")


def why(move: Mapping[str, Any]) -> Html:
    """Why an alias moved; marked where a person moved it without the evidence."""
    overrides = any(piece.startswith("override-") for piece in move.get("evidence") or [])
    mark = joined(badge("waiting", "override"), " ") if overrides else ""
    return tag("span", mark, move.get("why"), class_="ll-why")


def moves_table(query: Mapping[str, str], moves: Sequence[Mapping[str, Any]]) -> Html:
    """Every move, newest first, a page at a time. query: of the address bar."""
    shown, more = page(query, list(reversed(moves)), ROWS, key="moves")
    rows = [
        (
            stamp(move["time"]),
            move["alias"],
            joined(
                to_version(move["before"]),
                " → " if move["before"] else "",
                to_version(move["version"]),
            ),
            why(move),
            by(move["by"]),
        )
        for move in shown
    ]
    columns = ("When", "Alias", "Move", "Why", "By")
    nothing = empty("No alias has moved yet.", "A promotion, by hand or by a pipeline, moves one.")
    return joined(
        table(columns, rows, caption="every move of an alias, the newest first", nothing=nothing),
        pager(query, more, key="moves"),
    )


@dataclass(frozen=True)
class _Scale:
    start: datetime
    end: datetime

    def percent(self, time: datetime) -> float:
        part = (time - self.start) / (self.end - self.start)
        return round(100 * min(1.0, max(0.0, part)), 3)


def _order(alias: str) -> tuple[int, str]:
    return (FIRST.index(alias) if alias in FIRST else len(FIRST), alias)


def _span(span: Span, scale: _Scale) -> Html:
    left = scale.percent(span.start)
    width = scale.percent(span.end or scale.end) - left
    name = split_version(span.version)
    colour = int(name[1]) % _COLOURS if name else 0
    until = "now" if span.end is None else _day(span.end)
    told = f"{span.version}, {_day(span.start)} – {until}" + (f"\n{span.why}" if span.why else "")
    return tag(
        "span",
        f"v{name[1]}" if name and width >= _LABELLED else None,
        class_=f"ll-lane-span ll-hue-{colour}" + ("" if span.end else " ll-now"),
        style=f"left:{left}%;width:{width}%",
        title=told,
    )


def _ticks(scale: _Scale) -> Iterator[Html]:
    """Five moments of the axis, the last is now."""
    whole = scale.end - scale.start
    for part in (0.0, 0.25, 0.5, 0.75):
        time = scale.start + whole * part
        text = f"{time.day} {time:%b}" if whole > timedelta(days=4) else f"{time:%d %b %H:%M}"
        yield tag("span", text, style=f"left:{100 * part}%")
    yield tag("span", "now", style="left:100%")


def _day(time: datetime) -> str:
    return f"{time.day} {time:%b %Y, %H:%M} UTC"
