"""Train: a recipe or a pipeline as a form and as text, its plan, and its start.

?tab=train&file=recipes/sft.yaml        &new=recipe|pipeline for one that is pasted
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from llmops.runner.scope import Scope
from llmops.ui.client import segment
from llmops.ui.draft import Draft
from llmops.ui.editing import Editing
from llmops.ui.form_page import FORM_ACTS
from llmops.ui.frame import Ask, Handler, Ui
from llmops.ui.markup import Html
from llmops.ui.panel import loading
from llmops.ui.plan_page import SCOPE_ACTS, plan_page, runs_of, stale

EVERY = 2.0
_CHOICES = [("New recipe, pasted", "new:recipe"), ("New pipeline, pasted", "new:pipeline")]


@dataclass(frozen=True)
class Parts:
    """What the page is made of. held: the draft in hand."""

    held: gr.State
    chosen: gr.Dropdown
    path: gr.Textbox
    force: gr.Checkbox
    form: gr.HTML
    text: gr.Code
    told: gr.HTML
    planned: gr.HTML
    runs: gr.HTML


def build(ui: Ui) -> None:
    parts, page = _parts(), Train()
    held, path, text = parts.held, parts.path, parts.text
    everything = [held, parts.chosen, path, text, parts.form, parts.told, parts.planned, parts.runs]
    body = [held, text, parts.form, parts.told, parts.planned]
    shown = [held, parts.form, parts.told, parts.planned]
    asked = [held, text, path, parts.force]
    ui.on_show(page.show, [held, text], everything)
    ui.every(EVERY, page.last, [held], [parts.runs])
    ui.on(parts.chosen.input, page.choose, [parts.chosen])
    ui.on(text.input, page.typed, [held, text], shown, trigger_mode="always_last")
    for act in FORM_ACTS:
        ui.on_do(act, page.changer(act), [held, text], body)
    ui.on_do("plan", page.plan, asked, [held, parts.planned])
    for act, key in SCOPE_ACTS.items():
        ui.on_do(act, page.narrower(key), asked, [held, parts.planned])
    ui.on_do("start_planned", page.start, asked, [held, parts.planned])
    ui.on_do("save", page.save, [held, text, path], [held, path, parts.form, parts.told])
    ui.on_do("revert", page.revert, [held], body)
    ui.on_do("stop_here", page.stop, [held], [parts.runs])
    ui.on_do("resume_here", page.resume, [held], [parts.runs])


def _parts() -> Parts:
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
    return Parts(held, chosen, path, force, form, text, told, planned, runs)


class Train:
    """What the page does. now: the text as it stands in the page; draft: the one in hand."""

    def __init__(self) -> None:
        self._editing = Editing()

    async def show(self, ask: Ask, draft: Any, now: str) -> Any:
        files = await self._editing.files(ask)
        wanted = self._editing.wanted(ask, files, draft)
        if draft is not None and wanted == draft.place:
            return [
                gr.skip(),
                self._editing.choice(files, draft),
                gr.Textbox(visible=draft.is_new),
                *[gr.skip()] * 4,
                await self.last(ask, draft),
            ]
        before = draft.with_text(now or "") if draft is not None else None
        opened = await self._editing.turn_to(ask, wanted, before)
        return [
            opened,
            self._editing.choice(files, opened),
            gr.Textbox(value=opened.path, visible=opened.is_new),
            opened.text,
            *await self._editing.render(ask, opened),
            "",
            await self.last(ask, opened),
        ]

    async def last(self, ask: Ask, draft: Any) -> Html:
        if draft is None or draft.is_new:
            return runs_of([])
        found = await ask.api.shared("/runs", target=draft.path, limit=3)
        return runs_of(found.get("items") or [])

    async def choose(self, ask: Ask, value: str | None) -> None:
        kind, _, new = (value or "").partition(":")
        if kind == "new":
            ask.go(tab="train", new=new)
        elif value:
            ask.go(tab="train", file=value)

    async def typed(self, ask: Ask, draft: Any, now: str) -> Any:
        if draft is None or draft.text == now:
            return None
        changed = draft.with_text(now)
        return [changed, *await self._editing.render(ask, changed), self._editing.after(changed)]

    def changer(self, act: str) -> Handler:
        async def change(ask: Ask, draft: Any, now: str) -> Any:
            if draft is None:
                return None
            before = draft.with_text(now or "")
            changed = before.with_text(await self._editing.changed(ask, before, act))
            shown = await self._editing.render(ask, changed)
            return [changed, changed.text, *shown, self._editing.after(changed)]

        return change

    async def plan(self, ask: Ask, draft: Any, now: str, name: str, again: bool) -> Any:
        if draft is None:
            return None
        return await self._planned(ask, draft, (now, name, again), Scope(again))

    def narrower(self, key: str) -> Handler:
        """key: of Scope, whose stage a button of the plan names."""

        async def narrow(ask: Ask, draft: Any, now: str, name: str, again: bool) -> Any:
            if draft is None:
                return None
            kept = draft.scope if draft.planned == (now, name, again) else Scope(again)
            scope = replace(kept, **{key: ask.value})
            return await self._planned(ask, draft, (now, name, again), scope)

        return narrow

    async def _planned(
        self, ask: Ask, draft: Draft, of: tuple[str, str, bool], scope: Scope
    ) -> list[Any]:
        ready = replace(draft, text=of[0] or "", planned=of, scope=scope)
        found, overrides = await self._editing.plan(ask, ready, of[1], scope)
        return [ready, plan_page(found, overrides, ready.path, scope)]

    async def start(
        self, ask: Ask, draft: Any, now: str, name: str, again: bool
    ) -> AsyncIterator[Any]:
        """What was planned, and nothing else. A new text is saved first."""
        if draft is None or draft.planned != (now, name, again):
            yield [gr.skip(), stale()]
            return
        if draft.is_new:
            draft = await self._editing.save(ask, draft, name)
            yield [draft, gr.skip()]
        run = await self._editing.start(ask, draft, draft.scope)
        ask.go(tab="runs", run=run)
        yield [draft, gr.skip()]

    async def save(self, ask: Ask, draft: Any, now: str, name: str) -> Any:
        if draft is None:
            return None
        saved = await self._editing.save(ask, draft.with_text(now or ""), name)
        ask.say(f"{saved.path} is saved.")
        ask.go(tab="train", file=saved.path)
        return [saved, gr.Textbox(visible=False), *await self._editing.render(ask, saved)]

    async def revert(self, ask: Ask, draft: Any) -> Any:
        if draft is None:
            return None
        found = await self._editing.open(ask, *draft.place)
        opened = replace(found, aside=draft.aside)
        return [opened, opened.text, *await self._editing.render(ask, opened), ""]

    async def stop(self, ask: Ask, draft: Any) -> Any:
        await ask.api.post(f"/runs/{segment(ask.value)}/stop")
        ask.say(f"{ask.value} is told to stop.")
        return await self.last(ask, draft)

    async def resume(self, ask: Ask, draft: Any) -> Any:
        await ask.api.post(f"/runs/{segment(ask.value)}/resume")
        ask.say(f"{ask.value} goes on.")
        return await self.last(ask, draft)
