"""`llmops lineage`: what a version was made of, and which versions anything went into."""

from typing import Annotated

import typer


def command(
    version: Annotated[
        str | None, typer.Argument(metavar="[NAME:vN|NAME@ALIAS]", help="What was it made of?")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="With the ids of events and answers.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Nodes and edges, as JSON.")] = False,
) -> None:
    """Show what a version was made of, to the last event and file, and what came of it.

    Example: llmops lineage town@production
    """
    import sys

    from llmops.cli.output import print_json
    from llmops.lineage.of_version import of_version
    from llmops.lineage.project import Project
    from llmops.lineage.text import lines
    from llmops.spec.settings import load_settings

    with Project(load_settings()) as project:
        graph = of_version(version or "", project, full=full)
    if json:
        print_json(graph.record())
    else:
        print("\n".join(lines(graph, drawn=sys.stdout.isatty())))
