"""`llmops up`: everything of the project, kept running."""

from pathlib import Path
from typing import Annotated

import typer

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free one.")]


def command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PIPELINE] [DEPLOYMENT]",
            help="The pipeline is run where there is nothing to serve yet; default: the project's "
            "only deployment.",
        ),
    ] = None,
    control_port: Port = None,
    ui_port: Port = None,
    tensorboard_port: Port = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="Leave out serve, ui or tensorboard; repeatable."),
    ] = None,
) -> None:
    """Start what is served, the control API with its scheduler, the web UI and TensorBoard.

    What crashes is started again, after a growing pause. A deployment without a version to serve
    waits for one. Ctrl-C ends it all in order, a second one at once; runs go on.

    Example: llmops up pipelines/town.yaml serving/town.yaml
    """
    import sys

    from llmops.errors import BadInput
    from llmops.spec.settings import load_settings
    from llmops.spec.suggest import did_you_mean
    from llmops.up.line import StatusLine
    from llmops.up.up import Options, up

    for name in without or []:
        if name not in ("serve", "ui", "tensorboard"):
            fix = did_you_mean(name, ["serve", "ui", "tensorboard"])
            raise BadInput(f"--without: there is no part `{name}` to leave out", fix=fix)
    ports = {"control": control_port, "ui": ui_port, "tensorboard": tensorboard_port}
    up(files or [], load_settings(), Options(ports, without or []), StatusLine(sys.stderr))
