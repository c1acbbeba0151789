"""`llmops engines`: the environments that the engines run in."""

import typer

app = typer.Typer(no_args_is_help=True, help="Install, list and remove engine environments.")


@app.command("list")
def list_(json: bool = typer.Option(False, "--json")) -> None:
    """List engines.

    Example: llmops engines list
    """
