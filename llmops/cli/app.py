"""The `llmops` command. Commands are thin: parse, call one function, print.

Each command lives in a module of its own that imports nothing heavy until it runs, so that
`llmops --help` stays quick.
"""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from llmops.cli import (
    approve,
    cache,
    chat,
    control,
    data,
    doctor,
    down,
    engines,
    eval,
    experiments,
    feedback,
    gateway,
    import_,
    init,
    keys,
    models,
    plan,
    preferences,
    replay,
    run,
    runs,
    schedule,
    scheduler,
    schema,
    serve,
    status,
    tensorboard,
    ui,
    up,
)

if TYPE_CHECKING:
    from llmops.errors import Failed

app = typer.Typer(
    name="llmops",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, register and serve language models that get better every week.",
)
app.command("init")(init.command)
app.command("import")(import_.command)
app.command("doctor")(doctor.command)
app.add_typer(engines.app, name="engines")
app.command("plan")(plan.command)
app.command("run")(run.command)
app.add_typer(runs.app, name="runs")
app.command("tensorboard")(tensorboard.command)
app.add_typer(cache.app, name="cache")
app.command("approve")(approve.command)
app.add_typer(schedule.app, name="schedule")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(experiments.app, name="experiments")
app.add_typer(eval.app, name="eval")
app.command("up")(up.command)
app.command("status")(status.command)
app.command("down")(down.command)
app.command("serve")(serve.command)
app.command("ui")(ui.command)
app.command("gateway")(gateway.command)
app.command("control")(control.command)
app.command("scheduler")(scheduler.command)
app.command("chat")(chat.command)
app.add_typer(feedback.app, name="feedback")
app.add_typer(preferences.app, name="preferences")
app.command("replay")(replay.command)
app.add_typer(keys.app, name="keys")
app.command("schema")(schema.command)


@app.callback()
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
    gc.set_threshold(10_000)
    try:
        app()
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


def _refused(error: OSError) -> "Failed | None":
    from pathlib import Path

    from llmops.store.atomic import refused

    return refused(error, Path(error.filename)) if isinstance(error.filename, str) else None
