"""`llmops run`: execute a recipe or a pipeline."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmops.cli.plan import FROM, UNTIL

if TYPE_CHECKING:
    from llmops.runner.patience import Patience
    from llmops.runner.record import RunRecord
    from llmops.runner.scope import Scope


def command(
    target: Annotated[Path | None, typer.Argument(help="A recipe or a pipeline.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="KEY=VALUE, e.g. args.learning_rate=1e-3")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is up to date.")] = False,
    begin: Annotated[str | None, typer.Option("--from", metavar="STAGE", help=FROM)] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="STAGE", help=UNTIL)] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for evidence that has yet to come.")
    ] = False,
    wait_at_most: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Wait so long for it: 30m, 24h, 7d.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN|last", help="Go on with a run, with what it made so far."),
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", "-d", help="Run it in the background, when its turn comes.")
    ] = False,
) -> None:
    """Run a recipe, with what it stands on, or a pipeline. What is up to date is reused.

    A stage whose evidence has yet to come ends the run as `waiting` (exit code 0), unless it is
    told to wait; --resume asks again. A gate that refuses ends it with exit code 3.
    With -d it is queued and its id printed: it runs in a process of its own, once a device is free,
    whatever becomes of this terminal.

    Example: llmops run recipes/sft.yaml args.learning_rate=1e-3
    """
    from llmops.errors import BadInput
    from llmops.runner.scope import Scope

    scope = Scope(force, begin, until)
    part = overrides or scope != Scope()
    if (target is None) == (resume is None) or (resume is not None and part):
        raise BadInput(
            "a run needs a recipe or a pipeline, or --resume and nothing else of it",
            fix="`llmops run TARGET` or `llmops run --resume RUN`",
        )
    if queue:
        _queue(target, overrides or [], resume, scope)
    else:
        patience = _patience(wait, wait_at_most)
        _print(_here(target, overrides or [], resume, patience, scope))


def _here(
    target: Path | None,
    overrides: list[str],
    resume: str | None,
    patience: "Patience",
    scope: "Scope",
) -> "RunRecord":
    """Carry it out in this process."""
    from llmops.cli.person import person
    from llmops.runner.progress import reporter
    from llmops.runner.run_log import Asked
    from llmops.runner.stage import Context
    from llmops.runner.start import resume_run, start_run
    from llmops.spec.settings import load_settings
    from llmops.stages.catalog import KINDS

    context, shown = Context(load_settings()), reporter()
    if target is None:
        return resume_run(
            str(resume), context=context, kinds=KINDS, reporter=shown, patience=patience
        )
    return start_run(
        target,
        overrides,
        context=context,
        kinds=KINDS,
        reporter=shown,
        scope=scope,
        patience=patience,
        asked=Asked(by=person()),
    )


def _queue(target: Path | None, overrides: list[str], resume: str | None, scope: "Scope") -> None:
    from llmops.cli.person import person
    from llmops.cli.run_text import note_queued
    from llmops.scheduling.runs import Request, opened

    with opened() as runs:
        if target is None:
            job = runs.resume(runs.named(str(resume)), person())
        else:
            job = runs.submit(Request(str(target.resolve()), overrides, scope, by=person()))
        print(job.id)
        note_queued(runs, job.id)


def _patience(wait: bool, at_most: str | None) -> "Patience":
    from pydantic import TypeAdapter, ValidationError

    from llmops.errors import BadInput
    from llmops.runner.patience import Patience
    from llmops.spec.grammar import Duration, seconds

    if at_most is None:
        return Patience(None if wait else 0.0)
    try:
        return Patience(seconds(TypeAdapter(Duration).validate_python(at_most)))
    except ValidationError:
        fix = "such as 45s, 30m, 24h, 7d or 2w"
        raise BadInput(f"`{at_most}` is not a duration", fix=fix) from None


def _print(record: "RunRecord") -> None:
    from llmops.cli.output import note

    for stage in record.stages:
        print(f"{stage.name}\t{stage.shown}\t{stage.output or ''}")
    for stage in record.stages:
        if stage.shown == "waiting":
            note(f"stage {stage.name} waits: {stage.error}")
    if record.state == "waiting":
        note(f"ask again: llmops run --resume {record.id}")
