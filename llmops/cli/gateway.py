"""`llmops gateway`: the gateway alone, in front of servers that exist."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    deployment: Annotated[Path, typer.Argument(help="A deployment, e.g. serving/town.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, e.g. listen.host=0.0.0.0")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Listen there instead (0: any free port).")
    ] = None,
) -> None:
    """Start only the gateway of a deployment, in front of servers that exist.

    For `backend: {kind: openai, url: ...}`, and as one more gateway, on a port of its own, of a
    deployment that `llmops serve` runs already.

    Example: llmops gateway serving/town.yaml --port 8001
    """
    from llmops.cli.output import note
    from llmops.cli.serve import print_ready
    from llmops.serving.replica import replicate
    from llmops.serving.serve import serve
    from llmops.serving.state import read_state
    from llmops.serving.supervisor import prepare
    from llmops.spec.load import load_deployment
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    given = list(overrides or [])
    if port is not None:
        given.append(f"listen.port={port}")
    settings = load_settings()
    loaded = load_deployment(deployment, given)
    runs = read_state(ProjectPaths(settings.root).deployment(loaded.spec.name)) is not None
    if loaded.spec.backend.kind == "openai" and not runs:
        serve(prepare(loaded, settings), settings, report=note, on_ready=print_ready)
    else:
        replicate(
            loaded,
            settings,
            report=note,
            on_ready=lambda endpoint: print(f"{loaded.spec.name} also answers at {endpoint}"),
        )
