"""`llmops models promote | rollback | alias | history | evidence`: which version a name stands for,
why, and since when."""

from typing import TYPE_CHECKING, Annotated

import typer

from llmops.cli.opened import opened_registry
from llmops.cli.person import name_of_person

if TYPE_CHECKING:
    from llmops.registry.aliases import Move

app = typer.Typer()
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="NAME:vN", help="Or NAME@ALIAS.")],
    alias: Annotated[str, typer.Argument(help="The alias that moves, such as production.")],
    override: Annotated[
        bool, typer.Option("--override", help="Without passed evidence; --why is kept with it.")
    ] = False,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the record.")] = "",
) -> None:
    """Let an alias name a version whose newest evidence has passed. Exit code 3 when not.

    Example: llmops models promote town:v3 production
    """
    from llmops.cli.output import note
    from llmops.registry.evidence import EvidenceLog
    from llmops.registry.promotion import promote

    registry = opened_registry()
    log = EvidenceLog(registry.paths)
    move = promote(version, alias, registry, log, override=override, why=why, by=name_of_person())
    if move is None:
        target = registry.resolve(version)
        note(f"{target.name}@{alias} already names {target.id}")
    else:
        _print_move(move)


@app.command()
def rollback(
    name: str,
    alias: Annotated[str, typer.Argument(help="The alias that moves back.")] = "production",
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the record.")] = "",
) -> None:
    """Let an alias name what it named before, in one recorded move; again: the one before that.

    Example: llmops models rollback town --why "answers in French"
    """
    from llmops.registry.promotion import rollback

    _print_move(rollback(name, alias, opened_registry(), why=why, by=name_of_person()))


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
    alias: Annotated[str, typer.Argument(help="The alias that moves, such as production.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the record.")] = "",
) -> None:
    """Let an alias name a version, whatever is known of it. The move is recorded.

    Example: llmops models alias town:v3 production --why "v4 answers in French"
    """
    from llmops.cli.output import note

    registry = opened_registry()
    target = registry.resolve(version)
    move = registry.move(target.name, alias, target.number, why=why, by=name_of_person())
    if move is None:
        note(f"{target.name}@{alias} already names {target.id}")
    else:
        _print_move(move)


@app.command()
def history(name: str, json: Json = False) -> None:
    """Show every move of every alias of a model, oldest first.

    Example: llmops models history town
    """
    from llmops.cli.output import note, print_json, print_table

    registry = opened_registry()
    moves = registry.history(name)
    if json:
        print_json([move.model_dump() for move in moves])
    elif moves:
        rows = [(m.time, m.alias, m.version, m.before or "-", m.why, m.by) for m in moves]
        print_table("", ("time", "alias", "version", "before", "why", "by"), rows)
    else:
        note(f"no alias of {name} has moved")


def _print_move(move: "Move") -> None:
    name = move.version.rpartition(":")[0]
    print(f"{name}@{move.alias}: {move.before or 'nothing'} -> {move.version}")
