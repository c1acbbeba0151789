"""Home: the loop as it stands, what runs, and what waits for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from llmops.ui.approval import decide, listen
from llmops.ui.figure import ago, span
from llmops.ui.frame import Ask, Ui
from llmops.ui.links import to_run, to_version
from llmops.ui.loop_picture import loop_picture
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, loading, warned
from llmops.ui.run_list import stage_dots
from llmops.ui.state import badge
from llmops.ui.table import href

EVERY = 2.0
_NEW = (
    "llmops engines install",
    "llmops plan pipelines/town.yaml",
    "llmops run pipelines/town.yaml",
)


def build(ui: Ui) -> None:
    page = gr.HTML(loading("the loop"), elem_id="home-page")

    async def load(ask: Ask) -> Html:
        return shown(await ask.api.shared("/dashboard/data"))

    ui.on_show(load, outputs=[page])
    ui.every(EVERY, load, outputs=[page])
    listen(ui)


def shown(data: Mapping[str, Any]) -> Html:
    """The page of what /dashboard/data says."""
    deployments = data.get("deployments") or []
    served = any(one.get("running") for one in deployments)
    runs = data.get("runs") or {}
    fresh = not runs.get("recent") and not data.get("models")
    return tag(
        "div",
        _title(data),
        [warned(one) for one in data.get("problems") or []],
        _waiting(data.get("waiting") or []),
        loop_picture(data.get("loop") or {}, served=served),
        _first_steps() if fresh else None,
        tag(
            "div",
            _runs(runs),
            _models(data.get("models") or []),
            _served(deployments),
            _schedules(data.get("schedules") or []),
            _experiments(data.get("experiments") or []),
            class_="ll-home-grid",
        ),
        class_="ll-stack",
    )


def _title(data: Mapping[str, Any]) -> Html:
    counts = (data.get("runs") or {}).get("counts") or {}
    running = counts.get("running", 0)
    waiting = len(data.get("waiting") or [])
    told = [
        f"{running} running" if running else "nothing runs",
        f"{counts['queued']} queued" if counts.get("queued") else "",
        f"{waiting} waiting" if waiting else "",
    ]
    words = tag("span", " · ".join(one for one in told if one), class_="ll-quiet", id="home-state")
    return tag("div", tag("h2", data.get("project"), class_="ll-title"), words, class_="ll-row")


def _waiting(waiting: Sequence[Mapping[str, Any]]) -> Html | None:
    """What waits for a person, with the buttons to decide; then what waits for evidence."""
    if not waiting:
        return None
    order = sorted(waiting, key=lambda one: one.get("kind") != "approval")
    asked = order[0].get("kind") == "approval"
    title = "Waits for you" if asked else "Waits for evidence"
    rows = [_waits(one) for one in order]
    return card(title, tag("ul", rows, class_="ll-list"), id="home-waiting")


def _waits(one: Mapping[str, Any]) -> Html:
    asks = one.get("kind") == "approval"
    run, stage = str(one["run"]), str(one.get("stage") or "")
    return tag(
        "li",
        tag("div", to_run(run), tag("p", one.get("what"), class_="ll-quiet")),
        tag("span", ago(one.get("since")), class_="ll-quiet"),
        decide("home", run, stage) if asks else badge("waiting"),
    )


def _runs(runs: Mapping[str, Any]) -> Html:
    active, recent = runs.get("active") or [], runs.get("recent") or []
    known = {one["id"] for one in active}
    shown = [*active[:6], *(one for one in recent if one["id"] not in known)][:8]
    more = link("All runs", "?tab=runs", class_="ll-quiet")
    if not shown:
        return card("Runs", tag("p", "Nothing has run yet.", class_="ll-quiet"), more=more)
    return card("Runs", tag("ul", [_run(one) for one in shown], class_="ll-list"), more=more)


def _run(run: Mapping[str, Any]) -> Html:
    name = str(run["id"])
    position = run.get("queue_position")
    words = f"queued, #{position}" if position else None
    took = span(run.get("seconds"))
    when = " · ".join(one for one in (ago(run.get("started")), took) if one)
    return tag(
        "li",
        tag(
            "div",
            link(name, href({"tab": "runs", "run": name})),
            tag("p", stage_dots(run.get("stages") or []), class_="ll-quiet"),
        ),
        tag("span", when, class_="ll-quiet"),
        badge(str(run["state"]), words),
    )


def _models(models: Sequence[Mapping[str, Any]]) -> Html:
    more = link("All models", "?tab=models", class_="ll-quiet")
    rows = [
        tag(
            "li",
            tag(
                "div",
                link(one["name"], href({"tab": "models", "model": str(one["name"])})),
                tag("p", _aliases(one.get("aliases") or {}), class_="ll-quiet"),
            ),
            tag("span", f"{one['versions']} versions", class_="ll-quiet"),
        )
        for one in models[:5]
    ]
    nothing = tag("p", "No version yet; the first training makes one.", class_="ll-quiet")
    return card("Models", tag("ul", rows, class_="ll-list") if rows else nothing, more=more)


def _aliases(aliases: Mapping[str, str]) -> Html:
    order = sorted(aliases, key=lambda name: (name != "production", name != "candidate", name))
    parts = [
        joined(", " if at else "", f"{name} ", to_version(aliases[name]))
        for at, name in enumerate(order)
    ]
    return joined(parts) if parts else joined("no alias")


def _served(deployments: Sequence[Mapping[str, Any]]) -> Html:
    rows = []
    for one in deployments[:5]:
        status = str(one.get("status") or "stopped")
        where = one.get("url") if one.get("running") else ", ".join(one.get("variants") or {})
        bad = [f"{name}: {why}" for name, why in (one.get("problems") or {}).items()]
        rows.append(
            tag(
                "li",
                tag(
                    "div",
                    link(one["name"], href({"tab": "chat", "deployment": str(one["name"])})),
                    tag("p", where, class_="ll-quiet"),
                    [tag("p", text, class_="ll-wrong") for text in bad],
                ),
                badge(status),
            )
        )
    nothing = tag("p", "No deployment is declared in serving/.", class_="ll-quiet")
    more = link("Chat", "?tab=chat", class_="ll-quiet")
    return card("Served", tag("ul", rows, class_="ll-list") if rows else nothing, more=more)


def _schedules(schedules: Sequence[Mapping[str, Any]]) -> Html:
    rows = [
        tag(
            "li",
            tag(
                "div",
                link(one["id"], href({"tab": "schedules", "schedule": str(one["id"])})),
                tag("p", _due(one), class_="ll-quiet"),
            ),
            badge("paused")
            if one.get("paused")
            else tag("span", one.get("kind"), class_="ll-quiet"),
        )
        for one in schedules[:5]
    ]
    nothing = tag("p", "No pipeline has triggers.", class_="ll-quiet")
    more = link("Schedules", "?tab=schedules", class_="ll-quiet")
    return card("Next", tag("ul", rows, class_="ll-list") if rows else nothing, more=more)


def _due(schedule: Mapping[str, Any]) -> str:
    pairs = schedule.get("pairs") or {}
    if pairs.get("need") and pairs.get("have") is not None:
        return f"{pairs['have']:,} of {pairs['need']:,} new pairs"
    if schedule.get("next_at"):
        return ago(schedule["next_at"])
    return {"webhook": "when it is called", "feedback": "when enough pairs are new"}.get(
        str(schedule.get("kind")), "not planned"
    )


def _experiments(experiments: Sequence[Mapping[str, Any]]) -> Html | None:
    if not experiments:
        return None
    rows = [
        tag(
            "li",
            tag(
                "div",
                link(one["name"], href({"tab": "experiments", "experiment": str(one["name"])})),
                tag("p", one.get("summary"), class_="ll-quiet"),
            ),
            badge(str(one.get("decision") or "waiting")),
        )
        for one in experiments[:5]
    ]
    more = link("Experiments", "?tab=experiments", class_="ll-quiet")
    return card("Experiments", tag("ul", rows, class_="ll-list"), more=more)


def _first_steps() -> Html:
    steps = tag("pre", tag("code", "\n".join(_NEW)), class_="ll-code")
    go = link("Plan the first run", "?tab=train", class_="ll-button ll-primary")
    words = tag("p", "Nothing has been trained yet. Here, or at a terminal:", class_="ll-quiet")
    parts = tag("div", words, tag("div", go, class_="ll-row"), steps, class_="ll-stack")
    return card("Start the loop", parts, id="home-first")
