"""`llmops engines`: the environments that the engines run in."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Install, list and remove engine environments.")


@app.command()
def install(
    engines: Annotated[
        list[str] | None, typer.Argument(help="llamafactory, vllm; both when left out")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="cpu|cuda", help="For this device, not the one that is here."),
    ] = None,
) -> None:
    """Build the environments of the engines from their lock files, once for all projects.

    The lock for CUDA is taken where there is an NVIDIA GPU; `[engines] device` in llmops.toml
    decides otherwise.

    Example: llmops engines install vllm
    """
    from llmops.cli.output import note
    from llmops.environments.environment import find
    from llmops.environments.install import install as build
    from llmops.environments.lock import check_device, check_engine, lock_for, shipped_lock
    from llmops.environments.progress import reporting
    from llmops.spec.settings import ENGINES, load_settings
    from llmops.store.cache_paths import CachePaths

    settings = load_settings()
    wanted = [check_engine(name) for name in engines or ENGINES]
    used = {name: lock_for(name, settings) for name in wanted}
    locks = used
    if device is not None:
        locks = {name: shipped_lock(name, check_device(device)) for name in wanted}
    for name in wanted:
        if device is None and settings.engine(name).python is not None:
            own = find(name, settings)
            note(f"{name} {own.version}: your own environment, {own.python}")
            continue
        with reporting() as report:
            built = build(locks[name], CachePaths(settings.cache), report)
        note(f"{name} {built.environment.version}: installed, {built.root}")
        if settings.engine(name).python is not None or locks[name].key != used[name].key:
            note(f"  this project uses another one of {name}; see [engines] in llmops.toml")


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """List the engines of this project, and what else the cache holds.

    Example: llmops engines list --json
    """
    from dataclasses import asdict

    from llmops.cli.output import print_json, print_table
    from llmops.environments.environment import listing
    from llmops.environments.machine import size_text
    from llmops.spec.settings import load_settings

    lines = listing(load_settings())
    if json:
        print_json([asdict(line) for line in lines])
        return
    rows = [
        (
            line.engine,
            line.version,
            line.state,
            size_text(line.size) if line.size is not None else "",
            line.what or line.where,
        )
        for line in lines
    ]
    print_table("", ("engine", "version", "state", "size", "where"), rows)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="an engine, or the directory name of an environment")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Remove the environment of an engine; runs that use it fail.

    Example: llmops engines remove vllm --yes
    """
    import sys

    from llmops.cli.output import note
    from llmops.environments.environment import to_remove
    from llmops.environments.install import remove as discard
    from llmops.environments.machine import size_text
    from llmops.environments.progress import reporting
    from llmops.errors import BadInput
    from llmops.spec.settings import load_settings
    from llmops.store.cache_paths import CachePaths

    settings = load_settings()
    found = to_remove(name, settings)
    if not yes and not sys.stdin.isatty():
        raise BadInput(f"removing {found.root} needs a yes", fix="add --yes")
    if not yes and not typer.confirm(f"remove {found.root} ({size_text(found.size)})?"):
        return
    with reporting() as report:
        size = discard(found.key, CachePaths(settings.cache), report)
    note(f"removed {found.key} ({size_text(size)})")
