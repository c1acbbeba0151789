"""What the Train tab does with a declaration: opened, changed by the form, checked, planned,
saved, started. All of it through the API.
"""

import json
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from llmops.errors import BadInput
from llmops.runner.scope import Scope
from llmops.ui.button import act
from llmops.ui.client import Problem
from llmops.ui.draft import NEW, Draft, Opened
from llmops.ui.form import added, form, snippet
from llmops.ui.form_page import form_page
from llmops.ui.frame import Ask
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import empty, trouble
from llmops.ui.plan_page import stale
from llmops.ui.table import href
from llmops.ui.yaml_edit import data_of, remove_key, set_key

KINDS = ("recipe", "pipeline")


class Editing:
    """schemas: they stay as they are while control runs."""

    def __init__(self) -> None:
        self._schemas: dict[str, Any] = {}

    async def files(self, ask: Ask) -> list[dict[str, Any]]:
        """Recipes and pipelines: pipelines first, what lies in folders of its own last."""
        found = (await ask.api.get("/declarations")).get("items") or []
        return sorted(
            (one for one in found if one["kind"] in KINDS),
            key=lambda one: (one["kind"] != "pipeline", one["path"].count("/"), one["path"]),
        )

    def wanted(self, ask: Ask, files: list[dict[str, Any]], draft: Draft | None) -> Opened:
        """What the address asks for; else what is open; else the first."""
        if ask.query.get("file"):
            return ask.query["file"], False
        if ask.query.get("new") in NEW:
            return NEW[ask.query["new"]], True
        if draft is not None:
            return draft.place
        return (files[0]["path"], False) if files else (NEW["recipe"], True)

    def choice(self, files: list[dict[str, Any]], draft: Draft) -> Any:
        """The list to choose from, with what is open."""
        import gradio as gr

        choices = [(_title(one), one["path"]) for one in files]
        choices += [(f"New {kind}, pasted", f"new:{kind}") for kind in KINDS]
        return gr.Dropdown(choices, value=f"new:{draft.kind}" if draft.is_new else draft.path)

    async def open(self, ask: Ask, path: str, new: bool) -> Draft:
        if new:
            kind = "pipeline" if path.startswith("pipelines/") else "recipe"
            return Draft(path, kind, "")
        found = await ask.api.get(f"/declarations/{quote(path)}")
        if found["kind"] not in KINDS:
            raise Problem(f"{path} is a {found['kind']}, which is not run", fix="choose another")
        text = str(found["text"])
        return Draft(path, found["kind"], text, text, found["digest"])

    async def turn_to(self, ask: Ask, wanted: Opened, draft: Draft | None) -> Draft:
        """Another declaration than `draft`, whose changes are kept for when it is opened again."""
        kept = {one.place: one for one in draft.all_changed()} if draft else {}
        found = kept.pop(wanted, None) or await self.open(ask, *wanted)
        return replace(found, aside=tuple(kept.values()))

    async def schema(self, ask: Ask, kind: str) -> Any:
        if kind not in self._schemas:
            self._schemas[kind] = await ask.api.get(f"/schemas/{kind}")
        return self._schemas[kind]

    async def render(self, ask: Ask, draft: Draft) -> list[Html]:
        """The form of the text, and what is wrong with it, with the buttons."""
        schema = await self.schema(ask, draft.kind)
        try:
            shown = form_page(form(schema, data_of(draft.text)))
        except (BadInput, RecursionError) as error:
            shown = empty("The text is not YAML yet.", _words(error))
        if not draft.text.strip():
            return [shown, joined(_buttons(draft))]
        body = {"kind": draft.kind, "text": draft.text, "path": draft.path}
        try:
            found = await ask.api.post("/declarations/check", body)
            told = _problems(found.get("problems") or [])
        except Problem as problem:  # a key that may only read is no reason to show nothing
            told = trouble(problem)
        return [shown, joined(told, _buttons(draft))]

    def after(self, draft: Draft) -> Any:
        """What becomes of the shown plan when the text has changed."""
        import gradio as gr

        if not draft.planned or draft.planned[0] == draft.text:
            return gr.skip()
        return stale()

    async def changed(self, ask: Ask, draft: Draft, act: str) -> str:
        """The text after a change in the form (form_page.py, whose acts these are)."""
        try:
            path = tuple(json.loads(ask.value))
            if act == "remove_key":
                return remove_key(draft.text, path)
            if act == "set_key":
                return set_key(draft.text, path, snippet(ask.data["kind"], ask.input))
            if act == "add_key":
                path = (*path, ask.input.strip())
            schema = await self.schema(ask, draft.kind)
            return set_key(draft.text, path, added(schema, data_of(draft.text), path))
        except BadInput as error:
            raise Problem(error.what, where=error.where, fix=error.fix) from error

    async def plan(
        self, ask: Ask, draft: Draft, name: str, scope: Scope
    ) -> tuple[dict[str, Any], list[str]]:
        """The plan of the text as it is, and the overrides that a start takes along."""
        path = _place(draft, name)
        body = {"yaml": draft.text, "kind": draft.kind, "path": path, **asdict(scope)}
        found = await ask.api.post("/plans", body)
        return found, ([] if draft.is_new else _overrides(draft))

    async def start(self, ask: Ask, draft: Draft, scope: Scope) -> str:
        """The run's id. What was changed goes along as overrides: of the file as it was read."""
        found = await ask.api.get(f"/declarations/{quote(draft.path)}")
        if found["digest"] != draft.digest:
            raise Problem(f"{draft.path} has changed since it was read", fix="Revert reads it anew")
        body = {"target": draft.path, "overrides": _overrides(draft), **asdict(scope)}
        return str((await ask.api.post("/runs", body))["id"])

    async def save(self, ask: Ask, draft: Draft, name: str) -> Draft:
        path = _place(draft, name)
        body = {"text": draft.text, "digest": draft.digest}
        found = await ask.api.put(f"/declarations/{quote(path)}", body)
        return replace(draft, path=path, saved=draft.text, digest=found["digest"])


def _place(draft: Draft, name: str) -> str:
    return (name.strip() or draft.path) if draft.is_new else draft.path


def _overrides(draft: Draft) -> list[str]:
    try:
        return draft.overrides()
    except BadInput as error:
        raise Problem(error.what, fix=error.fix) from error


def _title(one: dict[str, Any]) -> str:
    stage = one.get("stage")
    return f"{one['path']} · {stage}" if stage else str(one["path"])


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, BadInput) else "it is nested too deeply"


def _buttons(draft: Draft) -> Html:
    """Plan; Save and Revert where there is something to."""
    changed = draft.is_changed
    return tag(
        "div",
        act("Plan", "plan", kind="primary", disabled=not draft.text.strip(), id="train-plan-it"),
        act("Save", "save", disabled=not changed, id="train-save"),
        act(
            "Revert",
            "revert",
            confirm=f"Throw away the changes to {draft.path}?",
            disabled=not changed,
            id="train-revert",
        ),
        tag("span", _unsaved(draft), class_="ll-quiet", data_unsaved=bool(draft.all_changed())),
        class_="ll-row ll-train-buttons",
    )


def _unsaved(draft: Draft) -> list[object]:
    """What has changes, the files that were opened before among them, as links back to them."""
    told: list[object] = ["changed, not saved"] if draft.is_changed else []
    for one in draft.aside:
        to = {"tab": "train", "new": one.kind} if one.is_new else {"tab": "train", "file": one.path}
        told += [" · " if told else "", link(one.path, href(to)), " is changed, not saved"]
    return told


def _problems(problems: list[dict[str, Any]]) -> Html:
    if not problems:
        return tag("p", "✓ It loads.", class_="ll-ok", role="status")
    return joined(
        tag(
            "div",
            tag("strong", one.get("message")),
            tag("span", _where(one), class_="ll-where"),
            tag("span", one.get("fix"), class_="ll-fix") if one.get("fix") else None,
            class_="ll-note ll-bad",
            role="status",
        )
        for one in problems
    )


def _where(one: dict[str, Any]) -> str:
    line = f"line {one['line']}" if one.get("line") else ""
    return ", ".join(part for part in (line, one.get("key") or "") if part)
