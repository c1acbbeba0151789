"""Train: a recipe or a pipeline as a form and as text, its plan, and its start.

?tab=train&file=recipes/sft.yaml        &new=recipe|pipeline for one that is pasted
"""

from typing import Any

import gradio as gr

from llmops.ui.client import segment
from llmops.ui.editing import Editing
from llmops.ui.form_page import FORM_ACTS
from llmops.ui.frame import Ask, Handler, Ui
from llmops.ui.markup import Html
from llmops.ui.panel import loading
from llmops.ui.plan_page import plan_page, runs_of, stale

EVERY = 2.0
_CHOICES = [("New recipe, pasted", "new:recipe"), ("New pipeline, pasted", "new:pipeline")]


def build(ui: Ui) -> None:
    editing = Editing()
    held = gr.State(None)
    with gr.Row(elem_classes="ll-train-top"):
        chosen = gr.Dropdown(
            _CHOICES,
            value=None,
            label="Recipe or pipeline",
            elem_id="train-file",
            filterable=True,
            scale=3,
        )
        path = gr.Textbox(label="Save as", elem_id="train-path", visible=False, scale=2)
        force = gr.Checkbox(
            label="Run again what is up to date", elem_id="train-force", scale=1, min_width=160
        )
    with gr.Row(elem_classes="ll-train"):
        with gr.Column(min_width=320):
            form = gr.HTML(loading("the form"), elem_id="train-form")
        with gr.Column(min_width=320):
            text = gr.Code(
                language="yaml", label="YAML", elem_id="train-yaml", interactive=True, lines=14
            )
            told = gr.HTML("", elem_id="train-problems")
    planned = gr.HTML("", elem_id="train-plan")
    runs = gr.HTML("", elem_id="train-last")
    everything = [held, chosen, path, text, form, told, planned, runs]

    async def show(ask: Ask, draft: Any, now: str) -> Any:
        files = await editing.files(ask)
        wanted = editing.wanted(ask, files, draft)
        if draft is not None and wanted == (draft.path, draft.is_new):
            return [
                gr.skip(),
                editing.choice(files, draft),
                *[gr.skip()] * 5,
                await last(ask, draft),
            ]
        opened = await editing.open(ask, *wanted)
        return [
            opened,
            editing.choice(files, opened),
            gr.Textbox(value=opened.path, visible=opened.is_new),
            opened.text,
            *await editing.render(ask, opened),
            "",
            await last(ask, opened),
        ]

    async def last(ask: Ask, draft: Any) -> Html:
        if draft is None or draft.is_new:
            return runs_of([])
        found = await ask.api.shared("/runs", target=draft.path, limit=3)
        return runs_of(found.get("items") or [])

    async def choose(ask: Ask, value: str | None) -> None:
        kind, _, new = (value or "").partition(":")
        if kind == "new":
            ask.go(tab="train", new=new)
        elif value:
            ask.go(tab="train", file=value)

    async def typed(ask: Ask, draft: Any, now: str) -> Any:
        if draft is None or draft.text == now:
            return None
        changed = draft.with_text(now)
        return [changed, *await editing.render(ask, changed), editing.after(changed)]

    def changer(act: str) -> Handler:
        async def change(ask: Ask, draft: Any, now: str) -> Any:
            if draft is None:
                return None
            before = draft.with_text(now or "")
            changed = before.with_text(await editing.changed(ask, before, act))
            shown = await editing.render(ask, changed)
            return [changed, changed.text, *shown, editing.after(changed)]

        return change

    async def plan(ask: Ask, draft: Any, now: str, name: str, again: bool) -> Any:
        if draft is None:
            return None
        ready = draft.with_text(now or "")
        found, overrides = await editing.plan(ask, ready, name, again)
        return [editing.planned(ready), plan_page(found, overrides, ready.path)]

    async def start(ask: Ask, draft: Any, now: str, name: str, again: bool) -> Any:
        if draft is None or draft.planned != now:
            return [stale()]
        run = await editing.start(ask, draft.with_text(now), name, again)
        ask.go(tab="runs", run=run)
        return None

    async def save(ask: Ask, draft: Any, now: str, name: str) -> Any:
        if draft is None:
            return None
        saved = await editing.save(ask, draft.with_text(now or ""), name)
        ask.say(f"{saved.path} is saved.")
        ask.go(tab="train", file=saved.path)
        return [saved, gr.Textbox(visible=False), *await editing.render(ask, saved)]

    async def revert(ask: Ask, draft: Any) -> Any:
        if draft is None:
            return None
        opened = await editing.open(ask, draft.path, draft.is_new)
        return [opened, opened.text, *await editing.render(ask, opened), ""]

    async def stop(ask: Ask, draft: Any) -> Any:
        await ask.api.post(f"/runs/{segment(ask.value)}/stop")
        ask.say(f"{ask.value} is told to stop.")
        return await last(ask, draft)

    async def resume(ask: Ask, draft: Any) -> Any:
        await ask.api.post(f"/runs/{segment(ask.value)}/resume")
        ask.say(f"{ask.value} goes on.")
        return await last(ask, draft)

    body = [held, text, form, told, planned]
    ui.on_show(show, [held, text], everything)
    ui.every(EVERY, last, [held], [runs])
    ui.on(chosen.input, choose, [chosen])
    ui.on(text.input, typed, [held, text], [held, form, told, planned], trigger_mode="always_last")
    for act in FORM_ACTS:
        ui.on_do(act, changer(act), [held, text], body)
    ui.on_do("plan", plan, [held, text, path, force], [held, planned])
    ui.on_do("start_planned", start, [held, text, path, force], [planned])
    ui.on_do("save", save, [held, text, path], [held, path, form, told])
    ui.on_do("revert", revert, [held], [held, text, form, told, planned])
    ui.on_do("stop_here", stop, [held], [runs])
    ui.on_do("resume_here", resume, [held], [runs])
