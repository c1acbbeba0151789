"""`llmops models promote | rollback | alias | history | at | evidence`: which version a name
stands for, why, and since when."""

from typing import TYPE_CHECKING, Annotated

import typer

from llmops.cli.opened import opened_registry
from llmops.cli.person import name_of_person

if TYPE_CHECKING:
    from llmops.registry.aliases import Move
    from llmops.registry.store import Registry

app = typer.Typer()
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="NAME:vN", help="Or NAME@ALIAS.")],
    alias: Annotated[str, typer.Argument(help="The alias that moves, such as production.")],
    override: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Move it without the evidence; the reason is kept."),
    ] = None,
    why: Annotated[str, typer.Option(metavar="TEXT", help="For the record.")] = "",
) -> None:
    """Let an alias name a version on the evidence that it needs. Exit code 3 when that lacks.

    Example: llmops models promote town:v3 production
    """
    from llmops.registry.promotion import promote

    registry = opened_registry()
    move = promote(version, alias, registry, override=override, why=why, by=name_of_person())
    _print_move(move, version, alias, registry)


@app.command()
def rollback(
    name: str,
    alias: Annotated[str, typer.Argument(help="The alias that moves back.")] = "production",
    leaving: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME:vN", help="Only if it names this version still."),
    ] = None,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the record.")] = "",
) -> None:
    """Let an alias name what it named before, in one recorded move; again: the one before that.

    Example: llmops models rollback town --why "answers in French"
    """
    from llmops.registry.promotion import rollback

    registry = opened_registry()
    move = rollback(name, alias, registry, why=why, by=name_of_person(), leaving=leaving)
    _print_move(move, move.version, alias, registry)


@app.command()
def evidence(
    version: Annotated[str, typer.Argument(metavar="NAME[:vN]", help="A model, or a version.")],
    json: Json = False,
) -> None:
    """Show what was measured of a model's versions, and what was overridden, oldest first.

    Example: llmops models evidence town:v3
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.registry.report import EVIDENCE_COLUMNS, evidence_of, evidence_row

    found = evidence_of(version, opened_registry())
    if json:
        print_json([piece.model_dump() for piece in found])
    elif found:
        print_table("", EVIDENCE_COLUMNS, [evidence_row(piece) for piece in found])
    else:
        note(f"there is no evidence about {version}")


@app.command("alias")
def alias_(
    version: Annotated[str, typer.Argument(metavar="NAME:vN", help="Or NAME@ALIAS.")],
    alias: Annotated[str, typer.Argument(help="The alias that moves, such as anchor.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the record.")] = "",
) -> None:
    """Let an alias that needs no evidence name a version. The move is recorded.

    Example: llmops models alias town:v3 anchor --why "rounds start from it"
    """
    from llmops.registry.promotion import move_freely

    registry = opened_registry()
    move = move_freely(version, alias, registry, why=why, by=name_of_person())
    _print_move(move, version, alias, registry)


@app.command()
def history(
    name: str,
    alias: Annotated[str | None, typer.Option(help="Of this alias only.")] = None,
    hub: Annotated[
        bool, typer.Option("--hub", help="Of all machines that push, as last seen on the Hub.")
    ] = False,
    json: Json = False,
) -> None:
    """Show every move of a model's aliases, oldest first: who, when, from, to, on what evidence.

    Example: llmops models history town --alias production
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.registry.past import COLUMNS, moves, row

    found = moves(name, alias, opened_registry(), hub=hub)
    if json:
        print_json(found)
    elif found:
        print_table("", COLUMNS, [row(move) for move in found])
    else:
        note(f"no alias of {name} has moved")


@app.command()
def at(
    name: str,
    alias: Annotated[str, typer.Argument(help="Such as production.")],
    time: Annotated[str, typer.Argument(metavar="TIME", help="2026-11-01T12:00Z, or a date.")],
    json: Json = False,
) -> None:
    """Show which version an alias named at a time, since when and why, and what it was made of.

    Example: llmops models at town production 2026-11-01T12:00Z
    """
    from llmops.cli.output import print_json
    from llmops.registry.past import at, lines

    found = at(name, alias, time, opened_registry())
    if json:
        print_json(found)
    else:
        print("\n".join(lines(found)))


def _print_move(move: "Move | None", version: str, alias: str, registry: "Registry") -> None:
    if move is None:
        from llmops.cli.output import note

        target = registry.resolve(version)
        note(f"{target.name}@{alias} already names {target.id}")
    else:
        name = move.version.rpartition(":")[0]
        print(f"{name}@{move.alias}: {move.before or 'nothing'} -> {move.version}")
