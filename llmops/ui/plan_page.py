"""A plan before its start: what would run and why, what is there already, what it needs."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.runner.scope import EVERYTHING, Scope
from llmops.ui.button import act
from llmops.ui.figure import size, span
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import card, code
from llmops.ui.state import badge

_WORDS = {
    "run": ("live", "to run"),
    "pending": ("warn", "waits for those before"),
    "reuse": ("good", "up to date"),
    "cached": ("good", "up to date"),
}
MOST_REASONS = 4
SCOPE_ACTS = {"plan_from": "begin", "plan_until": "until"}
"""What the buttons of a plan's stages choose."""


def plan_page(
    plan: Mapping[str, Any], changed: Sequence[str], value: str, scope: Scope = EVERYTHING
) -> Html:
    """plan: of POST /plans; changed: overrides that the start takes along; value: of the Start
    button, which tells what was planned; scope: which stages that is about."""
    stages = plan.get("stages") or []
    begin = act("Start", "start_planned", value, kind="primary", id="train-start")
    along = None
    if changed:
        shown = tag("span", " ".join(changed), class_="ll-mono")
        along = tag("p", "Starts with ", shown, "; the file stays as it is.", class_="ll-quiet")
    own = str(plan.get("target") or "").rpartition("/")[2].removesuffix(".yaml")
    rows = [_stage(one, own, several=len(stages) > 1) for one in stages]
    return card(
        f"Plan of {plan.get('target')}",
        _scope(scope),
        tag("ol", rows, class_="ll-plan"),
        along,
        tag("details", tag("summary", "As text"), code(plan.get("text") or "")),
        more=begin,
        id="train-planned",
    )


def _scope(scope: Scope) -> Html | None:
    """What of it is planned, where that is not all."""
    told = [
        f"{scope.begin} and what comes of it are made again" if scope.begin else "",
        f"what {scope.until} does not need is left out" if scope.until else "",
    ]
    if not any(told):
        return None
    words = tag("span", "; ".join(filter(None, told)), class_="ll-quiet")
    return tag("div", words, act("All stages", "plan"), class_="ll-row", id="train-scope")


def _choices(name: str) -> Html:
    """Of several stages, where to begin and where to end."""
    return joined(
        act("Again from here", "plan_from", name, aria_label=f"make again from {name}"),
        act("Only up to here", "plan_until", name, aria_label=f"only up to {name}"),
    )


def _stage(stage: Mapping[str, Any], own: str, *, several: bool) -> Html:
    """own: the name of a stage that is planned from a text, and so from a file without one."""
    name = str(stage.get("stage"))
    state = str(stage.get("state"))
    tone, words = _WORDS.get(state, ("quiet", state))
    return tag(
        "li",
        tag(
            "div",
            tag("b", own if name.startswith(".") else name),
            tag("span", words, class_=f"ll-badge ll-{tone}"),
            _choices(name) if several else None,
            class_="ll-row",
        ),
        tag("p", stage.get("summary")),
        _reasons(stage.get("reasons") or []) if tone != "good" else None,
        [tag("p", note, class_="ll-quiet") for note in stage.get("notes") or []],
        tag("p", _needs(stage), class_="ll-quiet"),
    )


def _reasons(reasons: Sequence[str]) -> Html:
    """The first ones say enough when everything is new."""
    more = len(reasons) - MOST_REASONS
    told = " · ".join(str(one) for one in reasons[:MOST_REASONS])
    return tag("p", told + (f" · and {more} more" if more > 0 else ""), class_="ll-quiet")


def _needs(stage: Mapping[str, Any]) -> str:
    estimate = stage.get("estimate") or {}
    memory, disk = estimate.get("memory_bytes"), estimate.get("disk_bytes")
    parts = [
        f"makes {stage['output']}" if stage.get("output") else "",
        f"about {size(memory)} of memory" if memory else "",
        f"{size(disk)} of disk" if disk else "",
        span(estimate.get("seconds")) if estimate.get("seconds") else "",
    ]
    return ", ".join(one for one in parts if one)


def stale() -> Html:
    """In place of a plan whose text has changed since."""
    return tag("p", "Something has changed; plan it again before the start.", class_="ll-quiet")


def runs_of(runs: Sequence[Mapping[str, Any]]) -> Html:
    """The last runs of what is open, with what may be done about them."""
    from llmops.ui.figure import ago
    from llmops.ui.links import to_run

    rows = []
    for run in runs:
        name, state = str(run["id"]), str(run["state"])
        stop = act(
            "Stop",
            "stop_here",
            name,
            kind="danger",
            confirm=f"Stop {name}? What is done stays done, and it can be resumed.",
        )
        going = state in ("running", "queued", "starting")
        ended = state in ("failed", "interrupted", "died", "refused")
        rows.append(
            tag(
                "li",
                tag("div", to_run(name)),
                tag("span", ago(run.get("started")), class_="ll-quiet"),
                badge(state),
                stop if going else None,
                act("Resume", "resume_here", name) if ended else None,
            )
        )
    if not rows:
        return joined()
    return card("Its last runs", tag("ul", rows, class_="ll-list"), id="train-runs")
