"""`llmops down`: end what runs of the project."""

from typing import Annotated

import typer


def command(
    stop_runs: Annotated[
        bool, typer.Option("--stop-runs", help="Runs too; they can be resumed.")
    ] = False,
) -> None:
    """End what `llmops up` keeps running, and what was started without it, in order.

    Runs go on, unless --stop-runs.

    Example: llmops down
    """
    from llmops.cli.output import note
    from llmops.cli.person import person
    from llmops.spec.settings import load_settings
    from llmops.up.down import down

    if not down(load_settings(), note, by=person(), stop_runs=stop_runs):
        note("nothing of this project ran")
