"""Runs: the list, one run as it goes, and several side by side.

?tab=runs [&state=failed] [&after=...] [&pick=A,B]   the list
?tab=runs&run=ID [&stage=NAME]                       one run, live
?tab=runs&compare=A,B                                side by side
"""

from pathlib import Path
from typing import Any

import gradio as gr

from llmops.ui.approval import listen
from llmops.ui.client import segment
from llmops.ui.compare import comparison
from llmops.ui.frame import Ask, Ui
from llmops.ui.markup import Html
from llmops.ui.panel import loading
from llmops.ui.run_list import LIMIT, run_list
from llmops.ui.run_page import figures, head, log_tail, the_stage
from llmops.ui.watch import Watch

SCRIPT = Path(__file__).with_name("runs.js")
EVERY = 1.0
"""Seconds; with what control and the browser add, curves are at most two behind."""


def build(ui: Ui) -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    top = gr.HTML(loading("runs"), elem_id="runs-top", js_on_load=script)
    curves = gr.HTML("", elem_id="runs-curves")
    log = gr.HTML("", elem_id="runs-log")
    watch = Watch()

    async def show(ask: Ask) -> Any:
        if ask.query.get("run"):
            return await _one(ask, watch)
        if ask.query.get("compare"):
            return [await _compared(ask, watch), "", ""]
        return [await _list(ask), "", ""]

    async def stop(ask: Ask) -> None:
        await ask.api.post(f"/runs/{segment(ask.value)}/stop")
        ask.say(f"{ask.value} is told to stop; what it has done is kept.")

    async def resume(ask: Ask) -> None:
        await ask.api.post(f"/runs/{segment(ask.value)}/resume")
        ask.say(f"{ask.value} goes on.")

    parts = [top, curves, log]
    ui.on_show(show, outputs=parts)
    ui.every(EVERY, show, outputs=parts)
    ui.on_do("stop_run", stop)
    ui.on_do("resume_run", resume)
    listen(ui)


async def _list(ask: Ask) -> Html:
    state, after = ask.query.get("state"), ask.query.get("after")
    found = await ask.api.shared("/runs", state=state, after=after, limit=LIMIT)
    return run_list(found, ask.query)


async def _one(ask: Ask, watch: Watch) -> list[Html | str]:
    run = await ask.api.shared(f"/runs/{segment(ask.query['run'])}")
    stage = the_stage(run, ask.query.get("stage", ""))
    top = head(run, stage)
    if stage is None or stage.get("attempt") is None:
        return [top, "", ""]
    name, attempt = stage["name"], int(stage["attempt"])
    grown = await watch.metrics(ask.api, run["id"], name, attempt)
    said = await watch.log(ask.api, run["id"], name, attempt)
    if grown.drawn is None:
        grown.drawn = figures(grown.items, grown.total)
    return [top, grown.drawn, log_tail(name, said.text)]


async def _compared(ask: Ask, watch: Watch) -> Html:
    """At most four, which is as many colours as can be told apart."""
    names = [one for one in ask.query["compare"].split(",") if one][:4]
    found = []
    for name in names:
        run = await ask.api.shared(f"/runs/{segment(name)}")
        curves = {}
        for stage in run.get("stages") or []:
            if stage.get("attempt") is not None and stage.get("kind") == "train":
                grown = await watch.metrics(ask.api, run["id"], stage["name"], stage["attempt"])
                curves[stage["name"]] = grown
        found.append((run, curves))
    return comparison(found, ask.query.get("stage", ""))
