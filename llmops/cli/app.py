"""The `llmops` command. Commands are thin: parse, call one function, print.

Each command lives in a module of its own that imports nothing heavy until it runs, so that
`llmops --help` stays quick.
"""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmops.errors import Failed

COMMANDS = {
    "init": "init",
    "import": "import_",
    "doctor": "doctor",
    "engines": "engines",
    "plan": "plan",
    "run": "run",
    "runs": "runs",
    "tensorboard": "tensorboard",
    "cache": "cache",
    "approve": "approve",
    "schedule": "schedule",
    "data": "data",
    "models": "models",
    "lineage": "lineage",
    "experiments": "experiments",
    "eval": "eval",
    "up": "up",
    "status": "status",
    "down": "down",
    "serve": "serve",
    "ui": "ui",
    "gateway": "gateway",
    "control": "control",
    "scheduler": "scheduler",
    "chat": "chat",
    "feedback": "feedback",
    "preferences": "preferences",
    "replay": "replay",
    "keys": "keys",
    "schema": "schema",
}
"""By name, in the order of the help, the module here that has the command or the group."""


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """`llmops` with these commands: to set up all of them takes longer than some take to run."""
    app = typer.Typer(
        name="llmops",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Train, register and serve language models that get better every week.",
    )
    app.callback()(begin)
    for name in names:
        module = import_module(f"llmops.cli.{COMMANDS[name]}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(module.command)
    return app


def begin(
    context: typer.Context,
    log_format: Annotated[
        str | None,
        typer.Option(metavar="text|json", help="Of what is said; not of results."),
    ] = None,
) -> None:
    import os

    from llmops.errors import BadInput
    from llmops.store import logs

    if log_format is not None:
        os.environ[logs.FORMAT] = log_format
    found = os.environ.get(logs.FORMAT, "text")
    if found not in logs.FORMATS:
        raise BadInput(f"`{found}` is no log format", fix="text or json")
    logs.set_up(context.invoked_subcommand or "")


def main() -> None:
    """Entry point: run the command, print a user's error plainly, exit with its code."""
    import gc

    from llmops.errors import LlmopsError
    from llmops.store import logs

    # Most commands end before there is garbage: to look for it at every 700 objects took a tenth
    # of a plan.
    gc.set_threshold(200_000)
    try:
        application([name for name in sys.argv[1:2] if name in COMMANDS] or COMMANDS)()
    except LlmopsError as error:
        logs.say_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        logs.say("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        told = _refused(error)
        if told is None:
            raise
        logs.say_error(told)
        sys.exit(told.exit_code)
    finally:
        gc.freeze()  # else the interpreter looks through all of it as it ends: a sixth of a plan


def _refused(error: OSError) -> "Failed | None":
    import errno
    from pathlib import Path

    from llmops.store.atomic import refused

    # A read that fails does not name its file.
    name = error.filename if error.errno != errno.EIO else error.filename or "."
    return refused(error, Path(name)) if isinstance(name, str) else None
