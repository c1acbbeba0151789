"""Small charts as inline SVG: no script, no font, no file but the page. Colours are CSS variables
of the page, so that they follow its theme; every text is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 360
_LEFT = 8
_LABEL = 15
_SERIES = 6
"""Colours that the page defines: --series-1 and so on."""


@dataclass(frozen=True)
class Rate:
    """A share with its interval, all 0 to 1."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True)
class Part:
    """A piece of a bar: what it is called, how large it is, and how that is said."""

    name: str
    size: float
    said: str


def rates(title: str, rows: Sequence[tuple[str, Rate]]) -> str:
    """One line for each rate: its interval as a bar, its value as a dot, from 0 to 100%."""
    step, top, scale = 40, 20, WIDTH - 2 * _LEFT
    height = top + step * len(rows) + 6
    marks = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + share * scale
        anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
        marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - 4}"/>')
        marks.append(_text(x, 12, f"{share:.0%}", "tick", anchor))
    for i, (name, rate) in enumerate(rows):
        y = top + step * i + 30
        low, mid, high = (_LEFT + v * scale for v in (rate.low, rate.value, rate.high))
        marks += [
            _text(_LEFT, y - _LABEL, f"{name}: {rate}", "label", "start"),
            f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>',
            f'<circle class="dot" cx="{mid:.1f}" cy="{y}" r="5"/>',
        ]
    return _svg(title, height, marks)


def bars(title: str, rows: Sequence[tuple[str, Sequence[Part]]]) -> str:
    """One stacked bar for each row, all to the same scale. The pieces are named in a legend."""
    names = list(dict.fromkeys(part.name for _, parts in rows for part in parts))
    longest = max((sum(p.size for p in parts) for _, parts in rows), default=0.0) or 1.0
    step, scale = 40, WIDTH - 2 * _LEFT
    marks = []
    for i, (label, parts) in enumerate(rows):
        y, x = step * i + 20, float(_LEFT)
        marks.append(_text(_LEFT, y - 5, label, "label", "start"))
        for part in parts:
            width = part.size / longest * scale
            style = f"fill:var(--series-{names.index(part.name) % _SERIES + 1})"
            told = escape(f"{part.name}: {part.said}")
            marks.append(
                f'<rect x="{x:.1f}" y="{y}" width="{max(width, 0.0):.1f}" height="14" '
                f'style="{style}"><title>{told}</title></rect>'
            )
            x += width
    return _svg(title, step * len(rows) + 4, marks) + _legend(names)


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<li><span class="swatch" style="background:var(--series-{i % _SERIES + 1})"></span>'
        f"{escape(name)}</li>"
        for i, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, height: float, marks: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(marks)}</svg>"
    )
