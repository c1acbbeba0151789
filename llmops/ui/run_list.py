"""The list of runs, newest first."""

from collections.abc import Mapping
from typing import Any

from llmops.ui.figure import ago, span
from llmops.ui.links import choice
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import empty
from llmops.ui.state import badge, tone
from llmops.ui.table import href, pager, table

LIMIT = 20
STATES = (
    "running", "queued", "waiting", "approval", "done", "failed", "refused", "interrupted", "died",
    "cancelled",
)  # fmt: skip
COLUMNS = ("Run", "State", "Stages", "Asked by", "Started", "Took", "Compare")


def run_list(found: Mapping[str, Any], query: Mapping[str, str]) -> Html:
    """found: a page of GET /runs; query: of the address bar."""
    picked = [one for one in query.get("pick", "").split(",") if one]
    rows = [_row(run, picked, query) for run in found.get("items") or []]
    state = query.get("state")
    nothing = (
        empty(f"No run is {state}.", link("Show all runs", "?tab=runs"))
        if state
        else empty("Nothing has run yet.", link("Start a run", "?tab=train"))
    )
    return tag(
        "div",
        _filters(query),
        _picked(picked, query),
        table(COLUMNS, rows, caption="runs", nothing=nothing, id="runs-table"),
        pager({**query, "tab": "runs"}, found.get("next")),
        class_="ll-stack",
    )


def _filters(query: Mapping[str, str]) -> Html:
    chosen = query.get("state", "")
    kept = {"tab": "runs", "pick": query.get("pick")}
    links = [
        choice(name or "all", href({**kept, "state": name}), name == chosen)
        for name in ("", *STATES)
    ]
    return tag("nav", links, class_="ll-choices", aria_label="runs by state", id="runs-filter")


def _picked(picked: list[str], query: Mapping[str, str]) -> Html | None:
    if not picked:
        return None
    kept = {key: value for key, value in query.items() if key != "pick"}
    enough = len(picked) > 1
    go = link(
        f"Compare {len(picked)} runs" if enough else "Pick another run to compare with",
        href({"tab": "runs", "compare": ",".join(picked)}) if enough else "",
        class_="ll-button ll-primary" if enough else "ll-quiet",
        id="runs-compare",
    )
    clear = link("Clear", href({**kept, "tab": "runs"}), class_="ll-button ll-plain")
    return tag("div", go, clear, class_="ll-row")


def _row(run: Mapping[str, Any], picked: list[str], query: Mapping[str, str]) -> list[object]:
    name = str(run["id"])
    others = [one for one in picked if one != name]
    chosen = name in picked
    pick = others if chosen else [*others, name][-4:]
    compare = link(
        "✓ picked" if chosen else "+ pick",
        href({**query, "tab": "runs", "pick": ",".join(pick)}),
        aria_label=f"{'leave out' if chosen else 'compare'} {name}",
        class_="ll-pick",
    )
    position = run.get("queue_position")
    state = badge(run["state"], f"queued, #{position}" if position else None)
    return [
        joined(
            link(name, href({"tab": "runs", "run": name})),
            tag("div", run.get("target"), class_="ll-quiet"),
        ),
        state,
        stage_dots(run.get("stages") or []),
        run.get("by"),
        ago(run.get("started")),
        span(run.get("seconds")),
        compare,
    ]


def stage_dots(stages: list[dict[str, Any]]) -> Html:
    """A mark for each stage, in its state's colour, and how many are done, in words."""
    marks = [
        tag(
            "i",
            class_=f"ll-bead ll-{tone(str(one['state']))}",
            title=f"{one['name']}: {one['state']}",
        )
        for one in stages
    ]
    done = sum(one["state"] in ("done", "reused") for one in stages)
    words = tag("span", f"{done} of {len(stages)}", class_="ll-quiet")
    kinds = dict.fromkeys(kind for one in stages for kind in one.get("alarms") or [])
    seen = [
        (" ", tag("span", kind.replace("_", " "), class_="ll-badge ll-warn", title="an alarm"))
        for kind in kinds
    ]
    return (
        tag("span", tag("span", marks, class_="ll-beads", aria_hidden="true"), words, seen)
        if stages
        else joined()
    )
