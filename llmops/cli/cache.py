"""`llmops cache`: what a project keeps to save time."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmops.runner.stage import Context

app = typer.Typer(no_args_is_help=True, help="What is remembered to save time, and its size.")
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List what is kept: what was found out about files, tokenized data, what attempts left.

    Example: llmops cache list
    """
    from datetime import UTC, datetime

    from llmops.cli.output import print_json, print_table
    from llmops.environments.machine import size_text
    from llmops.runner.cache import entries

    found = entries(_context())
    if json:
        print_json([vars(one) for one in found])
        return
    rows = [
        (
            one.name,
            one.what + (", damaged: not used" if one.damaged else ""),
            f"{one.entries:,}",
            size_text(one.size),
            f"{datetime.fromtimestamp(one.used, UTC):%Y-%m-%d %H:%M}",
        )
        for one in found
    ]
    print_table("", ("name", "what", "entries", "size", "used (UTC)"), rows)


@app.command()
def size(json: Json = False) -> None:
    """Print how much that is in all.

    Example: llmops cache size
    """
    from llmops.cli.output import print_json
    from llmops.environments.machine import size_text
    from llmops.runner.cache import entries

    total = sum(one.size for one in entries(_context()))
    print_json({"bytes": total}) if json else print(size_text(total))


@app.command()
def verify(json: Json = False) -> None:
    """Read all of it, and every remembered file, again; drop what is damaged.

    Exits with 1 when something was: it is found out anew when it is next needed.

    Example: llmops cache verify
    """
    from llmops.cli.output import note, print_json
    from llmops.runner.cache import verify as verified

    names = verified(_context(), note)
    if json:
        print_json({"damaged": names})
    else:
        print("damaged, and dropped: " + ", ".join(names) if names else "all as it was written")
    raise typer.Exit(1 if names else 0)


@app.command()
def gc(
    budget: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Keep no more than that, e.g. 20GB.")
    ] = None,
    json: Json = False,
) -> None:
    """Forget what is gone; above the budget, remove checkpoints and tokenized data, oldest first.

    Example: llmops cache gc --budget 20GB
    """
    from llmops.cli.output import note, print_json
    from llmops.environments.machine import size_text
    from llmops.runner.cache import collect
    from llmops.spec.grammar import size as size_of

    freed = collect(_context(), None if budget is None else size_of(budget), note)
    print_json({"freed": freed}) if json else print(f"{size_text(freed)} given back")


def _context() -> "Context":
    from llmops.runner.stage import Context
    from llmops.spec.settings import load_settings

    return Context(load_settings())
