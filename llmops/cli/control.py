"""`llmops control`: the API of a project, with its scheduler and its ingester."""

from typing import Annotated

import typer


def command(
    host: Annotated[str, typer.Option(help="Any but a loopback address needs API keys.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Default: 8700. 0: any free port."),
    ] = None,
    no_scheduler: Annotated[
        bool, typer.Option("--no-scheduler", help="Start no runs: another process does.")
    ] = False,
    no_ingest: Annotated[
        bool, typer.Option("--no-ingest", help="Leave the journal to another process.")
    ] = False,
    require_keys: Annotated[
        bool, typer.Option("--require-keys", help="Ask for API keys on loopback too.")
    ] = False,
) -> None:
    """Answer the API of this project, start what is scheduled, and keep the log.

    What it starts goes on when it ends. Ctrl-C ends it.

    Example: llmops control --port 8700
    """
    from llmops.cli.output import note
    from llmops.control.server import Options, run
    from llmops.spec.settings import load_settings

    options = Options(
        host, port, scheduler=not no_scheduler, ingest=not no_ingest, require_keys=require_keys
    )
    run(load_settings(), options, note)
