"""Runs side by side: what was changed, how each stands, and their curves in one picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.curve import Line, curve
from llmops.ui.figure import ago, number, span
from llmops.ui.links import choice, to_version
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, empty
from llmops.ui.run_page import CURVES, points
from llmops.ui.state import badge
from llmops.ui.table import href, table
from llmops.ui.watch import Growing

Found = Sequence[tuple[Mapping[str, Any], Mapping[str, Growing]]]


def comparison(found: Found, stage: str) -> Html:
    """found: runs, and the figures of each stage that trained. stage: whose curves are shown, or
    empty for the first that most of them have."""
    if len(found) < 2:
        return empty("Two runs make a comparison.", link("Pick them in the list", "?tab=runs"))
    names = _stages(found)
    chosen = stage if stage in names else (names[0] if names else "")
    back = link("‹ Runs", "?tab=runs", class_="ll-quiet")
    title = tag("h2", f"{len(found)} runs side by side", class_="ll-title")
    return tag(
        "div",
        tag("div", back, title),
        _table(found, chosen),
        _curves(found, names, chosen),
        class_="ll-stack",
        id="runs-comparison",
    )


def _stages(found: Found) -> list[str]:
    counts: dict[str, int] = {}
    for _, curves in found:
        for name in curves:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])


def _table(found: Found, stage: str) -> Html:
    runs = [run for run, _ in found]
    last = [_last(curves.get(stage)) for _, curves in found]
    made = [
        next((one.get("output") for one in run.get("stages") or [] if one["name"] == stage), None)
        for run in runs
    ]
    rows: list[list[object]] = [
        ["State", *[badge(run["state"]) for run in runs]],
        ["Target", *[run.get("target") for run in runs]],
        ["Changed", *[" ".join(map(str, run.get("overrides") or [])) or "nothing" for run in runs]],
        ["Started", *[ago(run.get("started")) for run in runs]],
        ["Took", *[span(run.get("seconds")) for run in runs]],
    ]
    if stage:
        rows.append([f"{stage} made", *[to_version(one) if one else "" for one in made]])
        rows += [
            [f"{title}, last", *[number(one.get(key)) for one in last]]
            for title, key in CURVES
            if any(one.get(key) is not None for one in last)
        ]
    heads = [
        joined(
            tag("i", class_=f"ll-key ll-line-{at % 4 + 1}", aria_hidden="true"),
            link(run["id"], href({"tab": "runs", "run": run["id"]})),
        )
        for at, run in enumerate(runs)
    ]
    return table(
        ["", *heads], rows, caption="runs side by side", titles=["", *[run["id"] for run in runs]]
    )


def _items(grown: Growing | None) -> list[dict[str, Any]]:
    return grown.items if grown else []


def _last(grown: Growing | None) -> dict[str, Any]:
    """The last value of each figure."""
    found: dict[str, Any] = {}
    for item in _items(grown):
        found.update({key: value for key, value in item.items() if value is not None})
    return found


def _curves(found: Found, names: Sequence[str], stage: str) -> Html:
    if not stage:
        return empty("None of these runs trained anything.")
    compared = ",".join(str(run["id"]) for run, _ in found)
    choices = [
        choice(name, href({"tab": "runs", "compare": compared, "stage": name}), name == stage)
        for name in names
    ]
    drawn = []
    for title, key in CURVES:
        lines = [
            Line(str(run["id"]), points(_items(curves.get(stage)), key)) for run, curves in found
        ]
        if any(line.points for line in lines):
            drawn.append(curve(title, lines))
    return card(
        "Curves",
        tag("nav", choices, class_="ll-choices", aria_label="stages") if len(names) > 1 else None,
        tag("div", drawn, class_="ll-curves"),
    )
