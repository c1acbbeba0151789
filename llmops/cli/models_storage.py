"""`llmops models delete | gc | size`: what may go, and how much there is."""

from typing import Annotated

import typer

from llmops.cli.opened import opened_registry
from llmops.cli.person import name_of_person

app = typer.Typer()
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def delete(
    version: Annotated[str, typer.Argument(metavar="NAME:vN")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the record.")] = "",
    no_way_back: Annotated[
        bool, typer.Option("--no-way-back", help="Even if a rollback leads to it.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete a version that nothing needs; its number and its manifest stay on record.

    Example: llmops models delete town:v3 --why "holds what a user wants forgotten"
    """
    from llmops.cli.output import print_json
    from llmops.environments.machine import size_text
    from llmops.spec.settings import load_settings
    from llmops.storage.deletion import delete

    done = delete(
        version,
        opened_registry(),
        load_settings(),
        why=why,
        by=name_of_person(),
        way_back=not no_way_back,
    )
    print_json(vars(done)) if json else print(
        f"{done.version} is deleted: {size_text(done.freed)} given back"
    )


@app.command()
def gc(
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Of each model keep the newest N, and what is needed."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    json: Json = False,
) -> None:
    """Remove what nothing refers to and no backend has loaded; versions only with --keep.

    Example: llmops models gc --keep 5 --dry-run
    """
    from llmops.cli.output import print_json, print_table
    from llmops.environments.machine import size_text
    from llmops.spec.settings import load_settings
    from llmops.spec.source import display
    from llmops.storage.garbage import collect, garbage

    registry, settings = opened_registry(), load_settings()
    found = garbage(registry, settings, keep)
    if not json and found:
        rows = [(one.version or display(one.path), one.what, size_text(one.size)) for one in found]
        print_table("", ("place", "what", "size"), rows)
    if not dry_run:
        found = collect(found, registry, settings, by=name_of_person(), why="gc")
    total = sum(one.size for one in found)
    if json:
        print_json({"removed": not dry_run, "bytes": total, "items": [vars(o) for o in found]})
    else:
        print(f"{size_text(total)} {'would be' if dry_run else ''} given back".replace("  ", " "))


@app.command()
def size(json: Json = False) -> None:
    """Show how much each version takes, and what `gc` would give back.

    Example: llmops models size
    """
    from llmops.cli.output import print_json, print_table
    from llmops.environments.machine import size_text
    from llmops.spec.settings import load_settings
    from llmops.storage.garbage import garbage
    from llmops.storage.sizes import sizes

    registry = opened_registry()
    found = sizes(registry)
    waste = sum(one.size for one in garbage(registry, load_settings()))
    if json:
        models = [{**vars(of), "versions": [vars(one) for one in each]} for of, each in found]
        print_json({"models": models, "garbage": waste})
        return
    rows = [
        (one.name, size_text(one.own), size_text(one.shared) if one.shared else "-")
        for of, each in found
        for one in (*each, of)
    ]
    print_table("", ("model or version", "size", "shared"), rows)
    print(f"`llmops models gc` would give back {size_text(waste)}")
