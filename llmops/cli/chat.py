"""`llmops chat`: talk to a variant of a running deployment."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmops.serving.chat import Conversation


def command(
    deployment: Annotated[Path, typer.Argument(help="A deployment that is being served.")],
    variant: Annotated[
        str | None, typer.Argument(help="The variant; the first one when left out.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Argument(help="One question; without it, a conversation.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Longest answer, in tokens.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0.0, help="0: always the same answer.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="The answer as JSON, once it is complete.")
    ] = False,
) -> None:
    """Talk to a variant of a running deployment.

    Without PROMPT: what is piped in, or a conversation (Ctrl-D ends it, /reset starts anew).

    Example: llmops chat serving/town.yaml candidate "Which river flows through Aldham?"
    """
    import sys

    from llmops.cli.output import note
    from llmops.serving.chat import Conversation, choose_variant, find_running
    from llmops.spec.load import load_deployment
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    name = load_deployment(deployment).spec.name
    state = find_running(name, deployment, ProjectPaths(load_settings().root))
    model = choose_variant(state, variant)
    chat = Conversation(state.endpoint, model, max_tokens=max_tokens, temperature=temperature)
    try:
        if prompt is None and not sys.stdin.isatty():
            prompt = sys.stdin.read().strip()
        if prompt is None:
            note(f"{model} at {state.endpoint}; Ctrl-D ends, /reset starts anew")
            _converse(chat)
        else:
            _once(chat, prompt, as_json=json)
    finally:
        chat.close()


def _once(chat: "Conversation", prompt: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from llmops.cli.output import print_json
    from llmops.errors import BadInput

    if not prompt:
        raise BadInput("the prompt is empty", fix='llmops chat DEPLOYMENT VARIANT "a question"')
    for piece in chat.say(prompt):
        if not as_json:
            print(piece, end="", flush=True)
    if as_json:
        assert chat.last is not None
        print_json(asdict(chat.last))
    else:
        print()


def _converse(chat: "Conversation") -> None:
    """Read, ask, print, until the end of input. An answer that fails does not end it."""
    from llmops.cli.output import note
    from llmops.errors import Failed

    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            print()
            return
        if line == "/reset":
            chat.reset()
            note("(forgotten)")
        elif line:
            try:
                for piece in chat.say(line):
                    print(piece, end="", flush=True)
                print()
            except Failed as error:
                note(f"\nerror: {error}")
