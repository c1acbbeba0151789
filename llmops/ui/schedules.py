"""The Schedules tab: what starts by itself and when, what waits for a person, what was held back
and why, and the switch that stops it all. One schedule: `?schedule=PIPELINE/TRIGGER`."""

import asyncio
from collections.abc import Mapping
from typing import Any

import gradio as gr

from llmops.ui import halt
from llmops.ui.approval import decide, listen
from llmops.ui.client import Problem, segment
from llmops.ui.firings import LIMIT, firings
from llmops.ui.frame import Ask, Ui
from llmops.ui.links import by, crumbs, not_there, to_run, to_version
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import card, loading, warned
from llmops.ui.schedule import held, next_card, schedule_card, schedules_table
from llmops.ui.stamp import stamp

SECONDS = 5.0


def build(ui: Ui) -> None:
    page = gr.HTML(loading("schedules"), elem_id="schedules-page")
    ui.on_show(load, outputs=[page])
    ui.every(SECONDS, load, outputs=[page])
    ui.on_do("run_schedule", run)
    ui.on_do("pause_schedule", pause)
    ui.on_do("resume_schedule", resume)
    ui.on_do("halt", halt.halt)
    ui.on_do("halt_and_stop", halt.halt_and_stop)
    ui.on_do("unhalt", halt.unhalt)
    listen(ui)


async def load(ask: Ask) -> Html:
    """The page that the address bar names."""
    id = ask.query.get("schedule")
    try:
        return await (_one(ask, id) if id else _all(ask))
    except Problem as problem:
        if id is None or problem.status not in (400, 404, 422):
            raise
        return not_there("schedules", "Schedules", f"schedule {id}")


async def run(ask: Ask) -> None:
    done = await ask.api.post(f"/schedules/{_path(ask.value)}/run")
    ask.say(tag("strong", f"{ask.value} was started by hand."), to_run(done["job"]))
    ask.go(**ask.query)


async def pause(ask: Ask) -> None:
    await ask.api.post(f"/schedules/{_path(ask.value)}/pause", {"why": ask.why})
    ask.say(f"{ask.value} is paused.")
    ask.go(**ask.query)


async def resume(ask: Ask) -> None:
    await ask.api.post(f"/schedules/{_path(ask.value)}/resume")
    ask.say(f"{ask.value} fires again.")
    ask.go(**ask.query)


async def _all(ask: Ask) -> Html:
    found, waiting, history = await asyncio.gather(
        ask.api.get("/schedules"),
        ask.api.get("/approvals"),
        ask.api.get("/schedules/history", limit=LIMIT, after=ask.query.get("after")),
    )
    halted = found.get("halted")
    title = tag("h2", "Schedules", class_="ll-title")
    told = [warned(text) for text in found.get("problems") or ()]
    set_to = None if halted else halt.switch(None)
    return tag(
        "div",
        tag("div", title, set_to, class_="ll-switch"),
        halt.switch(halted) if halted else None,
        told,
        _waiting(waiting["items"]),
        card("What starts by itself", schedules_table(found["items"], halted is not None)),
        card("History", firings(history, ask.query)),
        class_="ll-stack",
    )


async def _one(ask: Ask, id: str) -> Html:
    at = f"/schedules/{_path(id)}"
    found, times, history = await asyncio.gather(
        ask.api.get("/schedules"),
        ask.api.get(f"{at}/next", n=5),
        ask.api.get(f"{at}/history", limit=LIMIT, after=ask.query.get("after")),
    )
    one = next((one for one in found["items"] if one["id"] == id), None)
    if one is None:
        raise Problem(f"there is no schedule {id}", status=404)
    halted = found.get("halted")
    return tag(
        "div",
        crumbs("schedules", "Schedules", (id, "")),
        tag("h2", id, class_="ll-title"),
        halt.switch(halted) if halted else None,
        held(one),
        tag("div", schedule_card(one, halted is not None), next_card(times), class_="ll-halves"),
        card("History", firings(history, ask.query)),
        class_="ll-stack",
    )


def _waiting(found: list[dict[str, Any]]) -> Html | None:
    """What waits for a person; nothing where nothing does."""
    if not found:
        return None
    return card("Waits for you", tag("ul", [_waits(one) for one in found], class_="ll-waiting"))


def _waits(one: Mapping[str, Any]) -> Html:
    since = stamp(one["since"])
    small = tag(
        "small",
        to_run(one["run"]),
        ", asked ",
        since,
        " by " if one.get("by") else "",
        by(one.get("by")),
    )
    evidence = tag("small", one["evidence"]) if one.get("evidence") else None
    told = tag("div", tag("strong", _what(str(one["what"]))), evidence, small, class_="ll-under")
    return tag("li", told, decide("schedules", str(one["run"]), str(one.get("stage") or "")))


def _what(text: str) -> Html:
    """What is asked, with the version as a link: `town@staging -> town:v3`."""
    alias, arrow, version = text.partition(" -> ")
    return joined(alias, " → ", to_version(version)) if arrow else joined(text)


def _path(id: str) -> str:
    """A schedule's id within an address of the API."""
    pipeline, slash, trigger = id.partition("/")
    if not slash:
        raise Problem(f"there is no schedule {id}", status=404)
    return f"{segment(pipeline)}/{segment(trigger)}"
