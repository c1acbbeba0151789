"""`llmops ui`: the web UI, in a process of its own."""

from typing import Annotated

import typer


def command(
    control: Annotated[
        str | None,
        typer.Option(help="The control API's URL. Default: the one of this project that runs."),
    ] = None,
    gateway: Annotated[
        str | None,
        typer.Option(help="A gateway to chat through. Default: that of a running deployment."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Any but a loopback address asks for a login with an API key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 7860,
) -> None:
    """Serve the web UI: train, watch runs, chat, compare, promote, schedule.

    It only talks to the control API and a gateway; when it ends, all else goes on.

    Example: llmops ui --control http://127.0.0.1:8700
    """
    from contextlib import ExitStack
    from importlib.util import find_spec

    from llmops.cli.output import note
    from llmops.control.presence import announced, present
    from llmops.errors import BadInput
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths
    from llmops.ui.server import serve

    if find_spec("gradio") is None:
        raise BadInput(
            "the web UI needs Gradio, which is not installed",
            fix="pip install 'llmops-flywheel[ui]'",
        )
    paths = ProjectPaths(load_settings().root)

    def find() -> str:
        there = present(paths)
        return str(there["url"]) if there else "http://127.0.0.1:8700"

    with ExitStack() as stack:

        def ready(at: str) -> None:
            stack.enter_context(announced(paths, at, "ui"))
            note(f"llmops ui at {at} (control: {control or find()})")

        serve(control or find, gateway, host, port, ready)
