"""`llmops replay`: ask another version what was asked before."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of an answer.")],
    on: Annotated[str, typer.Option("--on", metavar="NAME:vN", help="The version to ask.")],
    url: Annotated[
        str | None, typer.Option(help="Ask the server there, which knows the model as NAME.")
    ] = None,
    deployment: Annotated[
        Path | None, typer.Option(help="The deployment's file, if not in serving/.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask another version the same messages with the same parameters, and show both answers.

    Example: llmops replay chatcmpl-06bq3v0rn2k8s6l1c9t5d7g4h0j3m1p8a2e6f0ib --on town:v4
    """
    from dataclasses import asdict

    from llmops.cli.output import note, print_json
    from llmops.feedback.ingest import fresh
    from llmops.serving.replay import replay
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    settings = load_settings()
    database = fresh(settings, ProjectPaths(settings.root))
    try:
        found = replay(
            settings,
            database,
            id,
            on,
            url=url,
            deployment=deployment,
            report=lambda progress: note(progress.phase),
        )
    finally:
        database.dispose()
    if json:
        print_json(asdict(found))
        return
    width = max(len(found.version), len(found.on))
    print(f"{found.version:<{width}}  {found.before if found.before is not None else '-'}")
    print(f"{found.on:<{width}}  {found.after if found.after is not None else '-'}")
    if found.note:
        note(found.note)
