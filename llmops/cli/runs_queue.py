"""`llmops runs queue | events | stop | resume`: what was asked for, and what becomes of it."""

from typing import Annotated

import typer

RUN = "The run's id, or `last`."


def queue(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the runs that were asked for and have not ended, and why each waits: for its turn, a
    device, evidence, or a person.

    Example: llmops runs queue
    """
    from dataclasses import asdict

    from llmops.cli.output import note, print_json, print_table
    from llmops.scheduling.queue import Queue
    from llmops.scheduling.runs import opened

    with opened() as runs:
        found = Queue(runs.paths).standings(runs.database)
    if json:
        print_json([{**asdict(s.job), "queue_position": s.place, "why": s.why} for s in found])
        return
    if not found:
        note("the queue is empty; llmops run -d RECIPE puts something into it")
        return
    rows = [(str(s.place or ""), s.job.id, s.job.state, s.why, s.job.by) for s in found]
    print_table("", ("place", "run", "state", "why", "by"), rows)


def events(
    run: Annotated[str, typer.Argument(help=RUN)] = "last",
    json: Annotated[bool, typer.Option("--json", help="A JSON object on each line.")] = False,
) -> None:
    """Follow a run until it ends or waits: its stages, figures and logs, from any terminal.

    It ends as the run does: 0 done, or waiting for evidence; 1 failed; 3 refused; 130 stopped.

    Example: llmops runs events last
    """
    from llmops.cli.run_events import follow_events
    from llmops.scheduling.runs import opened

    with opened() as runs:
        raise typer.Exit(follow_events(runs, runs.named(run), json=json))


def stop(run: Annotated[str, typer.Argument(help=RUN)]) -> None:
    """Stop a run: one that is queued never starts, one that runs ends in order and can go on later.

    Example: llmops runs stop 20261120-193000-town
    """
    from llmops.cli.person import person
    from llmops.scheduling.interim import ensure
    from llmops.scheduling.runs import opened

    with opened() as runs:
        name = runs.named(run)
        queued = runs.job(name) is not None
        print(f"{name}: {runs.stop(name, person())}")
        if queued:  # whoever has died hears nothing, and is written off
            ensure(runs.settings, runs.database)


def resume(run: Annotated[str, typer.Argument(help=RUN)]) -> None:
    """Go on with a run in the background, with what it made so far; at this terminal: `llmops run
    --resume RUN`.

    Example: llmops runs resume last
    """
    from llmops.cli.person import person
    from llmops.cli.run_text import note_queued
    from llmops.scheduling.runs import opened

    with opened() as runs:
        job = runs.resume(runs.named(run), person())
        print(job.id)
        note_queued(runs, job.id)
