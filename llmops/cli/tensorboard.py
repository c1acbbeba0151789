"""`llmops tensorboard`: the curves of all runs, or of some, in TensorBoard."""

from typing import Annotated

import typer


def command(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="All of them when left out.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 6006, or any free one.")
    ] = None,
) -> None:
    """Show the curves of runs in TensorBoard until interrupted; `llmops up` keeps one over all.

    Example: llmops tensorboard last
    """
    import os

    from llmops.cli.output import note
    from llmops.errors import BadInput
    from llmops.runner.record import find_run
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths
    from llmops.up.parts import missing, tensorboard_argv
    from llmops.up.ports import url_of

    paths = ProjectPaths(load_settings().root)
    found = [find_run(paths, run).id for run in runs or ()]
    if why := missing("tensorboard"):
        raise BadInput(why)
    paths.runs.mkdir(parents=True, exist_ok=True)
    url = url_of("tensorboard", port, note)
    note(f"TensorBoard at {url}")
    argv = tensorboard_argv(paths, int(url.rpartition(":")[2]), found)
    os.execv(argv[0], argv)
