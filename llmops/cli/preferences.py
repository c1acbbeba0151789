"""`llmops preferences`: the snapshots of preference pairs that training reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmops.preferences.snapshot import Snapshot
    from llmops.store.paths import ProjectPaths

app = typer.Typer(no_args_is_help=True, help="List, show and export snapshots of preference pairs.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Target = Annotated[str, typer.Argument(metavar="NAME[@N]", help="The newest one, or number N.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List all snapshots, the newest of each name last.

    Example: llmops preferences list
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.preferences.listing import COLUMNS, listed, row
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    found = listed(ProjectPaths(load_settings().root))
    if json:
        print_json(found)
    elif found:
        print_table("", COLUMNS, [row(one) for one in found])
    else:
        note("no snapshots yet: run a recipe of `kind: preferences`")


@app.command()
def show(target: Target, json: Json = False) -> None:
    """Show a snapshot's card: what is in it, where it comes from, what was left out.

    Example: llmops preferences show town
    """
    from llmops.cli.output import print_json
    from llmops.lineage.uses import trained_on
    from llmops.lineage.versions import Versions
    from llmops.preferences.listing import shown
    from llmops.preferences.snapshot import CARD
    from llmops.registry.store import Registry

    snapshot, paths = _found(target)
    found = shown(snapshot, trained_on(snapshot, Versions(Registry(paths))))
    if json:
        print_json(found)
        return
    print((snapshot.directory / CARD).read_text(encoding="utf-8").rstrip())
    trained = ", ".join(found["versions"]) or "nothing yet"
    print(f"\ntrained on it: {trained}\nfiles: {found['directory']}")


@app.command()
def export(
    target: Target,
    format: Annotated[str, typer.Option(help="trl, llamafactory or jsonl.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new directory.")],
) -> None:
    """Write a snapshot for another tool.

    Example: llmops preferences export town --format trl -o town-pairs
    """
    from llmops.preferences.export import export as write

    snapshot, _ = _found(target)
    for file in write(snapshot, format, output):
        print(file)


def _found(target: str) -> "tuple[Snapshot, ProjectPaths]":
    from llmops.preferences.snapshot import find_snapshot
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    paths = ProjectPaths(load_settings().root)
    return find_snapshot(target.removeprefix("preferences:"), paths), paths
