"""Intervals side by side on one scale: where each lies says more than its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmops.ui.markup import Html, tag

_PAD = 0.08
"""Of the width, on each side of what is drawn."""


@dataclass(frozen=True)
class Interval:
    """label: what of; low, high: its ends, None for one that is not known; tone: good, bad, quiet
    or a `hue`."""

    label: object
    point: float | None
    low: float | None
    high: float | None
    tone: str = "quiet"


@dataclass(frozen=True)
class Mark:
    """A line across all intervals."""

    at: float
    label: str
    strong: bool = False


def figure(value: float | None, *, sign: bool = False) -> str:
    """`+0.042`; `any` for an end that is not known."""
    if value is None:
        return "any"
    return f"{value:+.3f}" if sign else f"{value:.3f}"


def words(one: Interval, *, sign: bool = False) -> str:
    """`+0.210, between +0.080 and +0.340`."""
    ends = f"between {figure(one.low, sign=sign)} and {figure(one.high, sign=sign)}"
    return ends if one.point is None else f"{figure(one.point, sign=sign)}, {ends}"


def intervals(
    rows: Sequence[Interval], marks: Sequence[Mark] = (), *, sign: bool = False, caption: str
) -> Html:
    """The chart. sign: figures are differences. Each row says its figures as text as well."""
    scale = _Scale.over(rows, marks)
    shown = [
        tag(
            "div",
            tag("div", one.label, class_="ll-interval-name"),
            tag("div", _lines(marks, scale), _bar(one, scale), class_="ll-interval-track"),
            tag("div", _figures(one, sign), class_="ll-interval-figures"),
            class_="ll-interval",
        )
        for one in rows
    ]
    return tag(
        "div", shown, _legend(marks, scale), class_="ll-intervals", role="group", aria_label=caption
    )


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    @classmethod
    def over(cls, rows: Sequence[Interval], marks: Sequence[Mark]) -> "_Scale":
        ends = [end for one in rows for end in (one.low, one.point, one.high) if end is not None]
        ends += [mark.at for mark in marks]
        low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
        pad = (high - low) * _PAD or 0.5
        return cls(low - pad, high + pad)

    def percent(self, value: float) -> float:
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def _bar(one: Interval, scale: _Scale) -> Iterator[Html]:
    """Its ends; an unknown one runs out of the picture."""
    if one.point is None and one.low is None and one.high is None:
        return
    left = 0.0 if one.low is None else scale.percent(one.low)
    right = 100.0 if one.high is None else scale.percent(one.high)
    open_ends = (" ll-open-low" if one.low is None else "") + (
        " ll-open-high" if one.high is None else ""
    )
    style = f"left:{left}%;width:{round(right - left, 2)}%"
    yield tag("span", class_=f"ll-interval-bar ll-{one.tone}{open_ends}", style=style)
    if one.point is not None:
        at = f"left:{scale.percent(one.point)}%"
        yield tag("span", class_=f"ll-interval-point ll-{one.tone}", style=at)


def _lines(marks: Sequence[Mark], scale: _Scale) -> list[Html]:
    return [
        tag(
            "span",
            class_="ll-interval-mark" + (" ll-strong" if mark.strong else ""),
            style=f"left:{scale.percent(mark.at)}%",
        )
        for mark in marks
    ]


def _legend(marks: Sequence[Mark], scale: _Scale) -> Html | None:
    if not marks:
        return None
    labels = [
        tag("span", mark.label, style=f"left:{min(89.0, max(11.0, scale.percent(mark.at)))}%")
        for mark in marks
    ]
    return tag(
        "div",
        tag("div", class_="ll-interval-name"),
        tag("div", labels, class_="ll-interval-legend"),
        tag("div", class_="ll-interval-figures"),
        class_="ll-interval",
    )


def _figures(one: Interval, sign: bool) -> list[Html] | Html:
    if one.point is None and one.low is None and one.high is None:
        return tag("span", "nothing yet", class_="ll-quiet")
    ends = f"[{figure(one.low, sign=sign)}, {figure(one.high, sign=sign)}]"
    point = None if one.point is None else tag("strong", figure(one.point, sign=sign))
    return [one_part for one_part in (point, tag("span", ends)) if one_part is not None]
