"""`llmops lineage`: what a version was made of, and which versions anything went into."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmops.lineage.graph import Graph
    from llmops.lineage.project import Project


def command(
    version: Annotated[
        str | None, typer.Argument(metavar="[NAME:vN|NAME@ALIAS]", help="What was it made of?")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What was made of it? Or preferences:NAME[@N]."),
    ] = None,
    inference: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Of an answer or an event: what did it go into?"),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="As the application names the user: what did all of it go into?"
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="With the ids of events and answers.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Nodes and edges, as JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as one HTML page.")
    ] = None,
) -> None:
    """Show what a version was made of, to the last event and file; or what anything went into.

    Example: llmops lineage town@production
    """
    from llmops.lineage.of_data import of_data
    from llmops.lineage.of_log import of_inference, of_user
    from llmops.lineage.of_version import of_version

    asked: dict[Callable[[str, Project], Graph], str | None] = {
        partial(of_version, full=full): version,
        of_data: data,
        of_inference: inference,
        of_user: user,
    }
    graph = _one([(ask, text) for ask, text in asked.items() if text is not None])
    _show(graph, json, html)


def _one(given: "list[tuple[Callable[[str, Project], Graph], str]]") -> "Graph":
    from llmops.errors import BadInput
    from llmops.lineage.project import Project
    from llmops.spec.settings import load_settings

    if len(given) != 1:
        raise BadInput(
            "of what is the lineage to be shown? One thing at a time",
            fix="name a version, or one of --data FILE, --inference ID, --user ID",
        )
    ((ask, text),) = given
    with Project(load_settings()) as project:
        return ask(text, project)


def _show(graph: "Graph", json: bool, html: Path | None) -> None:
    import sys

    from llmops.cli.output import print_json
    from llmops.lineage.text import lines

    if html is not None:
        from llmops.report.lineage import lineage_page
        from llmops.store.atomic import write_text

        write_text(html, lineage_page(graph.record(), graph[graph.about[0]].label))
        print(html)
    elif json:
        print_json(graph.record())
    else:
        print("\n".join(lines(graph, drawn=sys.stdout.isatty())))
