"""`llmops models`: the versions of this project's models. Their aliases: models_aliases.py."""

from pathlib import Path
from typing import Annotated

import typer

from llmops.cli import models_aliases, models_publish, models_storage
from llmops.cli.opened import opened_registry
from llmops.cli.person import name_of_person

app = typer.Typer(
    no_args_is_help=True, help="List, show, add and verify model versions; move their aliases."
)
app.add_typer(models_aliases.app)
app.add_typer(models_publish.app)
app.add_typer(models_storage.app)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List all versions, the newest of each model last.

    Example: llmops models list
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.registry.report import COLUMNS, listed, row

    versions = listed(opened_registry())
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
    from llmops.registry.deletion import buried
    from llmops.registry.report import lines, shown

    registry = opened_registry()
    if (left := buried(version, registry.paths)) is not None:
        print_json(left.model_dump(mode="json")) if json else print("\n".join(left.lines))
        return
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
    settings, registry = load_settings(), opened_registry()
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
        registry.move(name, alias, manifest.number, why="added", by=name_of_person())


@app.command()
def verify(name: Annotated[str | None, typer.Argument(help="Default: all models.")] = None) -> None:
    """Read all files again and compare them with what was registered.

    Example: llmops models verify town
    """
    from llmops.registry.report import verify_all

    verify_all(opened_registry(), name, report=print)
