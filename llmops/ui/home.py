"""Home: the loop as it stands, what runs, and what waits for a person."""

from typing import Any

import gradio as gr

from llmops.ui.figure import ago
from llmops.ui.frame import Ask, Ui
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, loading
from llmops.ui.state import badge
from llmops.ui.table import href


def build(ui: Ui) -> None:
    page = gr.HTML(loading("the loop"), elem_id="home-page")

    async def load(ask: Ask) -> Html:
        return shown(await ask.api.get("/dashboard/data"))

    ui.on_show(load, outputs=[page])
    ui.every(2, load, outputs=[page])


def shown(data: dict[str, Any]) -> Html:
    """The page of what /dashboard/data says."""
    runs = (data.get("runs") or {}).get("active") or []
    return joined(card("Runs", [run(one) for one in runs] or "Nothing runs."))


def run(one: dict[str, Any]) -> Html:
    to = href({"tab": "runs", "run": one["id"]})
    return tag("p", badge(one["state"]), " ", link(one["id"], to), " ", ago(one.get("started")))
