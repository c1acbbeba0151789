"""`llmops models`: the versions of this project's models and their aliases."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmops.registry.aliases import Move
    from llmops.registry.store import Registry

app = typer.Typer(
    no_args_is_help=True, help="List, show, add and verify model versions; move their aliases."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List all versions, the newest of each model last.

    Example: llmops models list
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.registry.report import COLUMNS, listed, row

    versions = listed(_registry())
    if json:
        print_json(versions)
    elif versions:
        print_table("", COLUMNS, [row(version) for version in versions])
    else:
        note("no models yet: run a recipe, or `llmops models add NAME PATH`")


@app.command()
def show(
    version: Annotated[str, typer.Argument(metavar="NAME@ALIAS|NAME:vN")], json: Json = False
) -> None:
    """Show all that is known of a version: lineage, data, metrics, files, aliases.

    Example: llmops models show town@production
    """
    from llmops.cli.output import print_json
    from llmops.registry.report import lines, shown

    registry = _registry()
    found = shown(registry.resolve(version), registry)
    if json:
        print_json(found)
    else:
        print("\n".join(lines(found)))


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The model's name here.")],
    path: Annotated[Path, typer.Argument(help="A directory with a full model or an adapter.")],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Of an adapter: NAME:vN, NAME@alias or a directory. Default: what it names.",
        ),
    ] = None,
    alias: Annotated[str | None, typer.Option(help="Let this alias name it.")] = None,
    engine_check: Annotated[
        bool, typer.Option(help="Run it once in the training engine, for golden prompts.")
    ] = True,
) -> None:
    """Register a model that exists, as the next version of NAME.

    Example: llmops models add qwen ~/models/Qwen3-0.6B --alias anchor
    """
    from llmops.cli.copying import copying
    from llmops.cli.output import note
    from llmops.registry.imports import add_existing, check_names, examine, training_environment
    from llmops.spec.settings import load_settings

    check_names(name, alias)
    settings, registry = load_settings(), _registry()
    model = examine(path, base, registry, settings.root)
    environment = training_environment(settings) if engine_check else None
    if environment is not None:
        note("running it once in the training engine, for golden prompts ...")
    with copying() as progress:
        manifest = add_existing(
            name, model, registry, settings.root, environment=environment, progress=progress
        )
    registry.digests.save()
    print(manifest.id)
    if not manifest.golden:
        note("warning: it has no golden prompts, so nothing verifies it in a server")
    if alias is not None:
        registry.move(name, alias, manifest.number, why="added", by=_user())


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

    registry = _registry()
    log = EvidenceLog(registry.paths)
    move = promote(version, alias, registry, log, override=override, why=why, by=_user())
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

    _print_move(rollback(name, alias, _registry(), why=why, by=_user()))


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

    found = evidence_of(version, _registry())
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

    registry = _registry()
    target = registry.resolve(version)
    move = registry.move(target.name, alias, target.number, why=why, by=_user())
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

    registry = _registry()
    moves = registry.history(name)
    if json:
        print_json([move.model_dump() for move in moves])
    elif moves:
        rows = [(m.time, m.alias, m.version, m.before or "-", m.why, m.by) for m in moves]
        print_table("", ("time", "alias", "version", "before", "why", "by"), rows)
    else:
        note(f"no alias of {name} has moved")


@app.command()
def verify(name: Annotated[str | None, typer.Argument(help="Default: all models.")] = None) -> None:
    """Read all files again and compare them with what was registered.

    Example: llmops models verify town
    """
    from llmops.registry.report import verify_all

    verify_all(_registry(), name, report=print)


def _registry() -> "Registry":
    from llmops.registry.store import Registry
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    return Registry(ProjectPaths(load_settings().root))


def _print_move(move: "Move") -> None:
    name = move.version.rpartition(":")[0]
    print(f"{name}@{move.alias}: {move.before or 'nothing'} -> {move.version}")


def _user() -> str:
    """Who moves an alias by hand, for the record."""
    from llmops.cli.person import person

    return person().removeprefix("cli:")
