"""`llmops models`: the versions of this project's models. Their aliases: models_aliases.py."""

from pathlib import Path
from typing import Annotated

import typer

from llmops.cli import (
    models_aliases,
    models_download,
    models_hub,
    models_notes,
    models_publish,
    models_storage,
)
from llmops.cli.opened import opened_registry
from llmops.cli.person import name_of_person

app = typer.Typer(
    no_args_is_help=True, help="List, show, add and verify model versions; move their aliases."
)
app.add_typer(models_aliases.app)
app.add_typer(models_download.app)
app.add_typer(models_hub.app)
app.add_typer(models_notes.app)
app.add_typer(models_publish.app)
app.add_typer(models_storage.app)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Default: all models.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY[=VALUE]", help="With this tag; repeatable.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Made by such a stage, as sft.")] = None,
    alias: Annotated[str | None, typer.Option(help="Named by this alias.")] = None,
    json: Json = False,
) -> None:
    """List all versions, the newest of each model last; or those that are asked for.

    Example: llmops models list town --tag reviewed
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.registry.notes import parse_tags
    from llmops.registry.report import ALL, COLUMNS, Asked, listed, table

    asked = Asked(name, parse_tags(tag or ()), stage, alias)
    if json:
        print_json(listed(opened_registry(), asked))
    elif versions := table(opened_registry(), asked):
        print_table("", COLUMNS, versions)
    elif asked == ALL:
        note("no models yet: run a recipe, or `llmops models add NAME PATH`")
    else:
        note("no version is as asked")


@app.command()
def show(
    version: Annotated[str, typer.Argument(metavar="NAME@ALIAS|NAME:vN")], json: Json = False
) -> None:
    """Show all that is known of a version: lineage, data, licences, metrics, files, tags, notes.

    Example: llmops models show town@production
    """
    from llmops.cli.output import print_json
    from llmops.registry.deletion import buried
    from llmops.registry.shown import lines, shown

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
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="NAME:vN or NAME@ALIAS.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, also of another model.")],
    json: Json = False,
) -> None:
    """Show how two versions differ: recipe, data, base, template, packages, metrics, files.

    Example: llmops models diff town@production town:v4
    """
    from llmops.cli.differences import print_differences
    from llmops.registry.diff import diff

    registry = opened_registry()
    print_differences(diff(registry.resolve(a), registry.resolve(b), registry), json)


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
    licence: Annotated[
        str | None, typer.Option(help="Of the model. Default: what its card or LICENSE says.")
    ] = None,
    remote_code: Annotated[
        bool, typer.Option("--remote-code", help="Also one that names code of its own (auto_map).")
    ] = False,
    engine_check: Annotated[
        bool, typer.Option(help="Run it once in the training engine, for golden prompts.")
    ] = True,
) -> None:
    """Register a model that exists, as the next version of NAME.

    Example: llmops models add qwen ~/models/Qwen3-0.6B --alias anchor
    """
    from llmops.cli.copying import copying
    from llmops.cli.output import note
    from llmops.registry.hub.transfer import with_downloads
    from llmops.registry.imports import add_existing, check_names, examine, training_environment
    from llmops.registry.promotion import check_free, move_freely
    from llmops.spec.settings import load_settings

    check_names(name, alias)
    settings, registry = load_settings(), opened_registry()
    if alias is not None:
        check_free(name, alias, registry, f"llmops models promote {name}:vN {alias}")
    with copying("downloaded") as progress:
        model = with_downloads(
            lambda: examine(path, base, registry, settings.root, code=remote_code), progress
        )
    environment = training_environment(settings) if engine_check else None
    if environment is not None:
        note("running it once in the training engine, for golden prompts ...")
    with copying() as progress:
        manifest = add_existing(
            name,
            model,
            registry,
            settings.root,
            environment=environment,
            licence=licence,
            progress=progress,
        )
    registry.digests.save()
    print(manifest.id)
    if not manifest.golden:
        note("warning: it has no golden prompts, so nothing verifies it in a server")
    if alias is not None:
        move_freely(str(manifest.id), alias, registry, why="added", by=name_of_person())


@app.command()
def verify(
    version: Annotated[
        str | None,
        typer.Argument(metavar="NAME|NAME:vN|NAME@ALIAS", help="Default: all versions."),
    ] = None,
    json: Json = False,
) -> None:
    """Read all files again and compare them with what was registered. Exit code 1 when one differs.

    Example: llmops models verify town@production
    """
    from llmops.cli.copying import copying
    from llmops.cli.output import print_json
    from llmops.registry.verification import checked, refuse_damaged

    found = []
    with copying("read") as progress:
        for one in checked(opened_registry(), version, progress):
            found.append(one)
            if not json and not one.damage:
                print(f"{one.version}: {one.files} files, as registered")
    if json:
        print_json([one.told for one in found])
    refuse_damaged(found)
