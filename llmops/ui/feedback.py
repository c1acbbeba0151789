"""Feedback: what people said of answers, one answer with all that became of it, export, forget.

?tab=feedback [&view=answers] [&deployment=&variant=&kind=&since=] [&after=]   the log
?tab=feedback&id=ID                                                            one answer
"""

import asyncio
from typing import Any

import gradio as gr

from llmops.ui.answer_page import answer_page
from llmops.ui.client import segment
from llmops.ui.download import Tickets
from llmops.ui.feedback_log import LIMIT, VIEWS, asked_for, log_page, summary
from llmops.ui.forgotten import forgotten
from llmops.ui.frame import Ask, Ui
from llmops.ui.markup import Html
from llmops.ui.panel import loading


def build(ui: Ui) -> None:
    report = gr.HTML("", elem_id="feedback-report")
    figures = gr.HTML("", elem_id="feedback-figures")
    page = gr.HTML(loading("the log"), elem_id="feedback-page")

    async def show(ask: Ask) -> list[Html | str]:
        if ask.query.get("id"):
            found = await ask.api.get(f"/feedback/{segment(ask.query['id'])}")
            return ["", "", answer_page(found)]
        return ["", *await _log(ask, ui.tickets)]

    async def forget(ask: Ask) -> list[Html | str]:
        found = await ask.api.post("/feedback/forget", {"user": ask.why})
        return [forgotten(found), *await _log(ask, ui.tickets)]

    parts = [report, figures, page]
    ui.on_show(show, outputs=parts)
    ui.on_do("feedback_forget", forget, outputs=parts)


async def _log(ask: Ask, tickets: Tickets) -> list[Html | str]:
    """Figures and one page of the log, as the address says."""
    query = {key: value for key, value in ask.query.items() if key != "id"} | {"tab": "feedback"}
    wanted = asked_for(query)
    path = VIEWS[query.get("view", "")] if query.get("view", "") in VIEWS else VIEWS[""]
    counted = {key: wanted[key] for key in ("since", "deployment")}
    stats, found = await asyncio.gather(
        ask.api.get("/feedback/stats", **counted),
        ask.api.get(path, **wanted, after=query.get("after"), limit=LIMIT),
    )
    items: list[dict[str, Any]] = stats.get("items") or []
    export = tickets.link("/feedback/export", counted, ask.api.key)
    return [summary(items, query, export), log_page(found, items, query)]
