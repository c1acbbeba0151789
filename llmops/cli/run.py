"""`llmops run`: execute a recipe or a pipeline."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    target: Annotated[Path, typer.Argument(help="A recipe or a pipeline.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="KEY=VALUE, e.g. args.learning_rate=1e-3")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is up to date.")] = False,
) -> None:
    """Run a recipe, with what it stands on, or a pipeline. What is up to date is reused.

    Example: llmops run recipes/sft.yaml args.learning_rate=1e-3
    """
    from llmops.runner.progress import reporter
    from llmops.runner.stage import Context
    from llmops.runner.start import start_run
    from llmops.spec.settings import load_settings
    from llmops.stages.catalog import KINDS

    context = Context(load_settings())
    record = start_run(
        target,
        overrides or [],
        context=context,
        kinds=KINDS,
        reporter=reporter(),
        force=force,
    )
    for stage in record.stages:
        print(f"{stage.name}\t{stage.state}\t{stage.output or ''}")
