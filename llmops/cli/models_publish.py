"""`llmops models merge | compress | export`: versions in the form that another tool wants."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmops.cli.opened import opened_registry

if TYPE_CHECKING:
    from llmops.engines.contract import Environment
    from llmops.publish.making import Published

app = typer.Typer()
Version = Annotated[str, typer.Argument(metavar="NAME:vN", help="Or NAME@ALIAS.")]
To = Annotated[str | None, typer.Option(metavar="NAME", help="Default: its own name.")]
EngineCheck = Annotated[
    bool, typer.Option(help="Compare golden prompts before and after, in the training engine.")
]


@app.command()
def merge(
    version: Version,
    to: To = None,
    engine_check: EngineCheck = True,
) -> None:
    """Register an adapter and its base as one full model, checked against both.

    Example: llmops models merge town:v4 --to town-merged
    """
    from llmops.cli.copying import copying
    from llmops.cli.output import note
    from llmops.publish.making import merge_version

    registry, environment = opened_registry(), _environment(engine_check)
    with copying() as progress:
        done = merge_version(version, registry, to=to, environment=environment, progress=progress)
    print(done.manifest.id)
    note(f"{done.made.modules} weights changed; {done.made.lost:.2%} of the change is rounded away")
    _tell(done)


@app.command()
def compress(
    version: Version,
    rank: Annotated[int, typer.Option(metavar="R", help="Below the rank that it has.")],
    max_error: Annotated[
        float | None,
        typer.Option(metavar="E", help="Register nothing if more is lost, e.g. 0.05. Exit code 3."),
    ] = None,
    to: To = None,
    engine_check: EngineCheck = True,
) -> None:
    """Register an adapter with a smaller rank, and tell what is lost.

    Example: llmops models compress town:v4 --rank 16 --max-error 0.05
    """
    from llmops.cli.output import note
    from llmops.publish.making import compress_version

    registry, environment = opened_registry(), _environment(engine_check)
    done = compress_version(
        version, rank, registry, to=to, largest=max_error, environment=environment
    )
    print(done.manifest.id)
    made = done.made
    worst = f"{made.worst} loses most, {made.modules[made.worst]:.2%}"
    note(f"rank {made.before} -> {made.rank}: {made.error:.2%} of the change is lost; {worst}")
    note(f"served with `backend.lora.max_rank: {made.room}` or more")
    _tell(done)


def _environment(check: bool) -> "Environment | None":
    """The training engine's; None when it is not to look."""
    if not check:
        return None
    from llmops.environments.environment import find
    from llmops.spec.settings import load_settings
    from llmops.store.cache_paths import CachePaths

    settings = load_settings()
    return find("llamafactory", settings, CachePaths(settings.cache))


def _tell(done: "Published[Any]") -> None:
    from llmops.cli.output import note

    if done.compared is None:
        note("warning: it has no golden prompts, so nothing verifies it in a server")
    elif done.compared.difference is not None:
        note(f"log-probabilities of the golden prompts differ by {done.compared.difference:.2g}")
    note("it has no evidence of its own yet")


@app.command()
def export(
    version: Version,
    to: Annotated[Path, typer.Option(metavar="DIR", help="A directory that is not there yet.")],
    form: Annotated[
        str, typer.Option("--format", metavar="ollama|gguf|safetensors", help="For which tool.")
    ] = "ollama",
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="f32|f16|bf16|q8_0", help="GGUF weights; default: as now."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="An adapter's base as Ollama has it already."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
) -> None:
    """Write a version for another tool.

    Example: llmops models export town:v4 --format ollama --to town-ollama
    """
    from llmops.cli.output import note
    from llmops.publish.export import export

    warnings = export(version, form, to, opened_registry(), force=force, kind=kind, source=source)
    print(to)
    for warning in warnings:
        note(f"warning: {warning}")
