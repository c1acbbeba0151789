"""The Models tab: all models, one model (`?model=NAME`), one version (`&version=N`), and one
promotion of it before it is done (`&to=ALIAS`)."""

import asyncio
from typing import Any

import gradio as gr

from llmops.ui import keeping, promotion
from llmops.ui.client import Problem, segment
from llmops.ui.frame import Ask, Ui
from llmops.ui.links import not_there
from llmops.ui.markup import Html, tag
from llmops.ui.panel import loading, trouble
from llmops.ui.served import answering_with
from llmops.ui.table import page
from llmops.ui.version import version_page
from llmops.ui.versions import MODELS, by_model, model_page, overview, serving_card

SECONDS = 10.0


def build(ui: Ui) -> None:
    shown = gr.HTML(loading("models"), elem_id="models-page")
    ui.on_show(load, outputs=[shown])
    ui.every(SECONDS, load, outputs=[shown])
    ui.on_do("promote", promotion.promote)
    ui.on_do("promote_override", promotion.promote_override)
    ui.on_do("promote_other", promotion.promote_other)
    ui.on_do("rollback", promotion.rollback)
    ui.on_do("delete_version", keeping.delete)
    ui.on_do("deploy", deploy)
    ui.on_do("stop_deployment", stop)


async def load(ask: Ask) -> Html:
    """The page that the address bar names."""
    name, number = ask.query.get("model"), ask.query.get("version")
    try:
        if not name:
            return await _overview(ask)
        return await (_version(ask, name, number) if number else _model(ask, name))
    except Problem as problem:
        if problem.status not in (404, 422):
            raise
        what = f"version {name}:v{number}" if number else f"model {name}"
        return not_there("models", "Models", what)


async def deploy(ask: Ask) -> None:
    """Serve a deployment that stands still; its state says when it is ready."""
    done = await ask.api.post("/deploy", {"deployment": ask.value})
    ask.say(tag("strong", f"{done['name']} is on its way."), "It is ready when its state says so.")
    ask.go(**ask.query)


async def stop(ask: Ask) -> None:
    await ask.api.post(f"/deployments/{segment(ask.value)}/stop")
    ask.say(f"{ask.value} ends what it is answering, and stops.")
    ask.go(**ask.query)


async def _overview(ask: Ask) -> Html:
    found, serving = await asyncio.gather(ask.api.get("/models"), _serving(ask))
    models = by_model(found["items"])
    names, _ = page(ask.query, list(models), MODELS)
    moves = await asyncio.gather(*(ask.api.get(f"{_path(name)}/history") for name in names))
    histories = {name: each["items"] for name, each in zip(names, moves, strict=True)}
    return overview(ask.query, models, histories, serving)


async def _serving(ask: Ask) -> Html:
    """Deployments that cannot be told of leave the models where they are."""
    try:
        return serving_card((await ask.api.get("/deployments"))["items"])
    except Problem as problem:
        return trouble(problem)


async def _model(ask: Ask, name: str) -> Html:
    at = _path(name)
    found, moves, evidence = await asyncio.gather(
        ask.api.get(at), ask.api.get(f"{at}/history"), ask.api.get(f"{at}/evidence")
    )
    return model_page(ask.query, found, moves["items"], evidence["items"])


async def _version(ask: Ask, name: str, number: str) -> Html:
    model = _path(name)
    at = f"{model}/versions/{segment(number)}"
    found, evidence, lineage, aliases = await asyncio.gather(
        ask.api.get(at),
        ask.api.get(f"{at}/evidence", alias=ask.query.get("to", "")),
        ask.api.get(f"{at}/lineage"),
        ask.api.get(model),
    )
    moves = await _moves(ask, found["version"], evidence, aliases["aliases"])
    return version_page(ask.query, found, evidence, lineage, moves)


def _path(name: str) -> str:
    return f"/models/{segment(name)}"


async def _moves(ask: Ask, version: str, evidence: Any, aliases: dict[str, str]) -> Html:
    alias = ask.query.get("to")
    if not alias:
        return promotion.aliases_card(version, aliases)
    deployments = (await ask.api.get("/deployments"))["items"]
    serving = answering_with(deployments, version.rpartition(":")[0], alias)
    return promotion.sheet(version, alias, aliases, evidence, serving)
