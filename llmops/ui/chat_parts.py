"""The components of the Chat tab, and where they stand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from llmops.ui.markup import link
from llmops.ui.panel import loading

SCRIPT = Path(__file__).with_name("chat.js")
PLACEHOLDER = "Ask something"


@dataclass(frozen=True)
class Parts:
    """choice: to choose who answers; asking: all that a question is asked with, in order; writer:
    the editor, which takes the composer's place."""

    choice: list[Any]
    asking: list[Any]
    deployment: Any
    mode: Any
    past: Any
    now: Any
    composer: Any
    box: Any
    writer: Any
    text: Any
    save: Any
    cancel: Any


def parts() -> Parts:
    """Made within the tab."""
    with gr.Row(elem_classes="ll-chat-bar"):
        deployment = gr.Dropdown([], label="Deployment", scale=2, min_width=130)
        model = gr.Dropdown([], label="Answered by", scale=3, min_width=200)
        mode = gr.Radio(
            [("One answer", "one"), ("Side by side, blind", "blind")],
            value="one",
            label="Answers",
            scale=4,
            min_width=300,
        )
        gr.HTML(
            link("New conversation", "?tab=chat", class_="ll-button ll-plain"),
            elem_id="chat-new",
            min_width=130,
            scale=0,
        )
    past = gr.HTML(loading("the chat"), elem_id="chat-past")
    now = gr.HTML("", elem_id="chat-now", js_on_load=SCRIPT.read_text(encoding="utf-8"))
    with gr.Column(elem_id="chat-composer") as composer:
        box = gr.Textbox(
            show_label=False,
            label="Your question",
            placeholder=PLACEHOLDER,
            lines=1,
            max_lines=8,
            submit_btn="Send",
            container=False,
            elem_id="chat-box",
            max_length=100_000,
        )
    with gr.Column(visible=False, elem_id="chat-writer") as writer:
        text = gr.Textbox(label="", lines=6, max_lines=20, autofocus=True, max_length=60_000)
        with gr.Row():
            cancel = gr.Button("Cancel", size="sm")
            save = gr.Button("Save", variant="primary", size="sm")
    with gr.Accordion("Settings", open=False, elem_id="chat-settings"):
        asking = _settings()
    asked = [deployment, model, mode, *asking]
    choice = [deployment, model, mode]
    return Parts(
        choice, asked, deployment, mode, past, now, composer, box, writer, text, save, cancel
    )


def _settings() -> list[Any]:
    with gr.Row():
        user = gr.Textbox(
            label="User",
            info="Who asks and rates; the same user always gets the same variant. Kept hashed.",
            max_length=128,
        )
        system = gr.Textbox(label="System message", max_length=20_000, lines=1, max_lines=6)
    with gr.Row():
        # Not gr.Number: it makes a 0 of what was left empty.
        temperature = gr.Textbox(
            label="Temperature", info="0 to 2; empty: the server's own", max_length=20
        )
        most = gr.Textbox(
            label="At most so many tokens", info="Empty: the server's own", max_length=20
        )
    return [user, system, temperature, most]
