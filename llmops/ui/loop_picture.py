"""The loop as a picture: six stations and the way from each to the next, live where work goes on.

page.css and home.css draw it: two rows on a wide screen, a column on a narrow one.
"""

from collections.abc import Mapping
from typing import Any

from llmops.ui.markup import Html, link, tag

STATIONS = (
    ("feedback", "Feedback", "M4 5h16v10H10l-5 4v-4H4z"),
    ("pairs", "Pairs", "M4 6h7v12H4zM13 6h7v12h-7z"),
    ("train", "Train", "M4 5v14h16M7 15l4-5 3 3 5-7"),
    ("gate", "Gate", "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 12l2 2 4-4"),
    ("candidate", "Candidate", "M12 4a8 8 0 1 0 8 8M12 8a4 4 0 1 0 4 4"),
    ("production", "Production", "M4 17l8 4 8-4M4 12l8 4 8-4M12 3l8 4-8 4-8-4z"),
)
_WORDS = {"idle": "nothing yet", "ready": "ready", "running": "running", "waiting": "waiting"}
_TONES = {"ready": "good", "running": "live", "waiting": "warn", "failed": "bad"}


def loop_picture(loop: Mapping[str, Any], *, served: bool) -> Html:
    """loop: of /dashboard/data, {state, text, link} for each station; served: whether people can
    ask what is in production, so that the way back to feedback is alive."""
    parts: list[Html] = []
    for at, (name, title, icon) in enumerate(STATIONS):
        station = loop.get(name) or {}
        following = loop.get(STATIONS[(at + 1) % len(STATIONS)][0]) or {}
        parts.append(_station(name, title, icon, station))
        last = at == len(STATIONS) - 1
        live = served if last else "running" in (station.get("state"), following.get("state"))
        parts.append(_way(at + 1, live))
    model = loop.get("model")
    middle = tag("p", "the loop of ", tag("b", model)) if model else tag("p", "the loop")
    return tag("div", parts, tag("div", middle, class_="ll-hub"), class_="ll-loop", id="home-loop")


def _station(name: str, title: str, icon: str, station: Mapping[str, Any]) -> Html:
    state = str(station.get("state") or "idle")
    glyph = tag(
        "svg", tag("path", d=icon), viewBox="0 0 24 24", class_="ll-glyph", aria_hidden="true"
    )
    head = tag(
        "span",
        glyph,
        tag("b", title),
        tag("em", _WORDS.get(state, state), class_=f"ll-badge ll-{_TONES.get(state, 'quiet')}"),
        class_="ll-station-head",
    )
    text = tag("span", station.get("text") or "nothing yet", class_="ll-station-text")
    return link(
        [head, text],
        str(station.get("link") or "?tab=home"),
        class_=f"ll-station ll-at-{name} ll-{_TONES.get(state, 'quiet')}",
        id=f"loop-{name}",
    )


def _way(number: int, live: bool) -> Html:
    """The arrow from a station to the next; the last one closes the loop."""
    arrow = tag(
        "svg",
        tag("path", d="M2 8H44M37 2l7 6-7 6"),
        viewBox="0 0 48 16",
    )
    words = tag("span", "and round again", class_="ll-again") if number == 6 else None
    state = "ll-way-live" if live else ""
    return tag("span", arrow, words, class_=f"ll-way ll-way-{number} {state}", aria_hidden="true")
