"""`llmops models ...` as tests call it, in this process."""

from collections.abc import Callable

from typer.testing import CliRunner, Result

from llmops.cli.models import app

Models = Callable[..., Result]


def call(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])
