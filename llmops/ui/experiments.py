"""The Experiments tab: who gets which share of the traffic, what came of it, what that decides.

All experiments, or one of them (`?experiment=NAME`). The figures are control's; nothing here
calculates any.
"""

from typing import Any

import gradio as gr

from llmops.ui.experiment import experiment
from llmops.ui.frame import Ask, Ui
from llmops.ui.links import crumbs, to_experiment
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import code, empty, loading

SECONDS = 15.0
DECLARES = """\
# serving/town.yaml
experiment:
  control: control
  candidate: candidate
  outcome: thumbs"""


def build(ui: Ui) -> None:
    page = gr.HTML(loading("experiments"), elem_id="experiments-page")
    ui.on_show(load, outputs=[page])
    ui.every(SECONDS, load, outputs=[page])


async def load(ask: Ask) -> Html:
    found = await ask.api.get("/experiments")
    return shown(found["items"], ask.query.get("experiment"))


def shown(found: list[dict[str, Any]], name: str | None) -> Html:
    """The page. name: of the one that was asked for."""
    if name is None:
        chosen, way = found, None
    else:
        chosen = [one for one in found if one["experiment"] == name]
        way = crumbs("experiments", "Experiments", (name, ""))
    title = tag("h2", name or "Experiments", class_="ll-title")
    if not chosen:
        return tag("div", way, title, _nothing(found, name), class_="ll-stack")
    return tag("div", way, title, [experiment(one) for one in chosen], class_="ll-stack")


def _nothing(found: list[dict[str, Any]], name: str | None) -> Html:
    if name is not None:
        there = [
            joined(", " if i else "", to_experiment(one["experiment"]))
            for i, one in enumerate(found)
        ]
        return empty(
            f"No deployment {name} declares an experiment.", "There are: " if there else "", there
        )
    return joined(
        empty(
            "No experiment is declared.",
            "A deployment that splits its traffic between two variants can compare them:",
        ),
        code(DECLARES),
    )
