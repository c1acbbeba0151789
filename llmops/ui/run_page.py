"""One run: its state, what may be done with it, its stages, and the chosen stage's curves."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.approval import decide
from llmops.ui.button import act
from llmops.ui.curve import Line, curve
from llmops.ui.figure import ago, number, span
from llmops.ui.links import to_version
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, code, empty, facts, warned
from llmops.ui.stage_graph import stage_graph
from llmops.ui.state import badge
from llmops.ui.table import href

CURVES = (
    ("Loss", "loss"),
    ("Preference accuracy", "accuracy"),
    ("Reward margin", "margin"),
    ("Evaluation loss", "eval_loss"),
    ("Gradient norm", "grad_norm"),
    ("Learning rate", "learning_rate"),
    ("Tokens per second", "tokens_per_s"),
)
REACTIONS = {
    "warn": "Training goes on.",
    "stop": "Training ends; the best checkpoint is kept.",
    "fail": "The stage fails.",
}
"""What is done about an alarm, by `watch:` of the recipe."""


def the_stage(run: Mapping[str, Any], asked: str) -> dict[str, Any] | None:
    """The stage whose page it is: the one asked for, else the one to look at now."""
    stages: list[dict[str, Any]] = list(run.get("stages") or [])
    for one in stages:
        if one["name"] == asked:
            return one
    for state in ("running", "failed", "died", "refused", "waiting"):
        for one in stages:
            if one["state"] == state:
                return one
    ran = [one for one in stages if one.get("attempt") is not None]
    trained = [one for one in ran if one.get("kind") == "train"]
    best = trained or ran or stages
    return best[-1] if best else None


def head(run: Mapping[str, Any], stage: Mapping[str, Any] | None) -> Html:
    """All but the curves and the log."""
    graph = run.get("graph") or {}
    return tag(
        "div",
        _title(run),
        _waits(run),
        card("Stages", stage_graph(str(run["id"]), graph, str((stage or {}).get("name", ""))))
        if graph.get("nodes")
        else None,
        _stage(run, stage) if stage else empty("It has not begun.", _position(run)),
        class_="ll-stack",
    )


def _title(run: Mapping[str, Any]) -> Html:
    name = str(run["id"])
    overrides = run.get("overrides") or []
    pairs = [
        ("Target", tag("span", run.get("target"), class_="ll-mono")),
        ("Asked by", run.get("by")),
        ("Started", ago(run.get("started"))),
        ("Took", span(run.get("seconds"))),
        (
            "Changed",
            tag("span", " ".join(map(str, overrides)), class_="ll-mono") if overrides else "",
        ),
    ]
    return tag(
        "section",
        tag(
            "div",
            link("‹ Runs", "?tab=runs", class_="ll-quiet"),
            tag(
                "div",
                tag("h2", name, class_="ll-title", id="run-id"),
                badge(run["state"]),
                class_="ll-row",
            ),
        ),
        tag("div", _actions(run), class_="ll-row", id="run-actions"),
        facts(pairs),
        class_="ll-run-head",
    )


def _actions(run: Mapping[str, Any]) -> Html:
    name = str(run["id"])
    board = run.get("tensorboard")
    return joined(
        act(
            "Stop",
            "stop_run",
            name,
            kind="danger",
            confirm=f"Stop {name}? What is done stays done, and it can be resumed.",
            id="run-stop",
        )
        if run.get("stoppable")
        else None,
        act("Resume", "resume_run", name, kind="primary", id="run-resume")
        if run.get("resumable")
        else None,
        link("Compare", href({"tab": "runs", "pick": name}), class_="ll-button ll-plain"),
        link("TensorBoard", str(board), class_="ll-button ll-plain", id="run-tensorboard")
        if board
        else None,
    )


def _waits(run: Mapping[str, Any]) -> Html | None:
    """What a person must decide before it goes on."""
    name = str(run["id"])
    job = run.get("job") or {}
    if run["state"] == "approval" or job.get("state") == "approval":
        return _asks(name, "", "This run starts once a person agrees.")
    for stage in run.get("stages") or []:
        if stage.get("approval"):
            words = f"{stage['name']}: {stage['error']}"
            return _asks(name, str(stage["name"]), words)
    return None


def _asks(run: str, stage: str, words: str) -> Html:
    return warned(tag("p", words), decide("runs", run, stage))


def _position(run: Mapping[str, Any]) -> str:
    job = run.get("job") or {}
    place = job.get("queue_position")
    return f"It is number {place} in the queue: {job['why']}." if place else ""


def _stage(run: Mapping[str, Any], stage: Mapping[str, Any]) -> Html:
    pairs = [
        ("Kind", stage.get("kind")),
        ("Made", to_version(stage.get("output")) if stage.get("output") else None),
        ("Attempt", stage.get("attempt")),
        ("Started", ago(stage.get("started"))),
        ("Took", span(stage.get("seconds"))),
    ]
    error = stage.get("error")
    bad = stage["state"] in ("failed", "died", "refused")
    told = None
    if error:
        told = tag("div", error, class_=f"ll-note ll-pre {'ll-bad' if bad else 'll-warn'}")
    title = tag("span", stage["name"], " ", badge(str(stage["state"])))
    seen = [_alarm(one) for one in stage.get("alarms") or []]
    less = _less(str(stage.get("proposal") or ""))
    return card(title, facts(pairs), seen, told, less, id="run-stage")


def _alarm(alarm: Mapping[str, Any]) -> Html:
    """What was seen, and what was done about it."""
    reaction = str(alarm["reaction"])
    return tag(
        "div",
        tag("b", str(alarm["kind"]).replace("_", " ")),
        f" at step {alarm['step']:,}: {alarm['text']}. {REACTIONS.get(reaction, reaction)}",
        class_=f"ll-note {'ll-bad' if reaction == 'fail' else 'll-warn'}",
    )


def _less(proposal: str) -> Html | None:
    """What a stage that ran out of memory would need less with."""
    if not proposal:
        return None
    words = tag("p", "With these overrides of its recipe it needs less memory:")
    return tag("div", words, code(proposal), id="run-less")


def figures(items: Sequence[Mapping[str, Any]], total: int) -> Html | str:
    """A curve for each figure that the engine reports; empty for a stage that trains nothing."""
    if not items and not total:
        return ""
    drawn = []
    for title, key in CURVES:
        found = points(items, key)
        if found or key == "loss":
            drawn.append(curve(title, [Line(title, found)], total=total))
    return card(
        "Curves",
        tag("div", drawn, class_="ll-curves"),
        more=tag("span", _progress(items, total), class_="ll-quiet", id="run-progress"),
    )


def points(items: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """One figure by step."""
    return [(float(one["step"]), float(one[key])) for one in items if one.get(key) is not None]


def _progress(items: Sequence[Mapping[str, Any]], total: int) -> str:
    if not items:
        return "no step yet"
    last = items[-1]
    told = f"step {last['step']:,} of {total:,}" if total else f"step {last['step']:,}"
    epoch, elapsed, step = last.get("epoch"), last.get("elapsed_s"), last["step"]
    if epoch is not None:
        told += f", epoch {number(float(epoch))}"
    if elapsed and 0 < step < total:
        told += f", about {span(elapsed / step * (total - step))} left"
    return told


def log_tail(stage: str, text: str) -> Html:
    """The end of a log; the newest line stays in view while nobody scrolls up."""
    if not text.strip():
        return card(f"Log of {stage}", tag("p", "It has said nothing yet.", class_="ll-quiet"))
    return card(f"Log of {stage}", tag("div", code(text), class_="ll-tail", id="run-log"))
