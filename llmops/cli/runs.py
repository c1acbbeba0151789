"""`llmops runs`: what ran, how far it came, its logs; the queue; stopping one."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="List runs, show one, follow it, stop it.")


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the runs of this project, oldest first.

    Example: llmops runs list
    """
    from llmops.cli.output import print_json, print_table
    from llmops.runner.record import list_runs
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    runs = list_runs(ProjectPaths(load_settings().root))
    if json:
        print_json([run.model_dump() for run in runs])
        return
    rows = [
        (r.id, r.state, r.target, r.started, ", ".join(f"{s.name} {s.shown}" for s in r.stages))
        for r in runs
    ]
    print_table("", ("run", "state", "target", "started", "stages"), rows)


@app.command("show")
def show(
    run: Annotated[str, typer.Argument(help="The run's id, or `last`.")] = "last",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show one run: its stages, times, outputs and errors.

    Example: llmops runs show last
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.runner.observe import warnings
    from llmops.runner.record import find_run
    from llmops.runner.resume import GOES_ON
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    paths = ProjectPaths(load_settings().root)
    record = find_run(paths, run)
    if json:
        print_json(record.model_dump())
        return
    rows = [
        (
            s.name,
            s.shown,
            s.output or "",
            "" if s.seconds is None else f"{s.seconds:.1f} s",
            s.error or "",
        )
        for s in record.stages
    ]
    changed = f" {' '.join(record.overrides)}" if record.overrides else ""
    title = f"{record.id}: {record.state} ({record.target}{changed})"
    print_table(title, ("stage", "state", "output", "took", "why"), rows)
    for told in warnings(paths, record.id):
        note(f"warning: {told}")
    if record.state in GOES_ON:
        note(f"go on with it: llmops run --resume {record.id}")


@app.command("log")
def log(
    run: Annotated[str, typer.Argument(help="The run's id, or `last`.")] = "last",
    stage: Annotated[
        str | None, typer.Argument(help="The stage; the last one that ran when left out.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.")] = 40,
) -> None:
    """Print the end of a stage's log, as the engine wrote it.

    Example: llmops runs log last sft
    """
    from llmops.cli.output import note
    from llmops.runner.record import find_log
    from llmops.spec.settings import load_settings
    from llmops.spec.source import display
    from llmops.store.paths import ProjectPaths

    path, text = find_log(ProjectPaths(load_settings().root), run, stage, lines)
    note(display(path))
    print(text)


@app.command("report")
def report(
    run: Annotated[str, typer.Argument(help="The run's id, or `last`.")] = "last",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: RUN.html, here.")
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="A picture beside it, by Chromium.")] = False,
) -> None:
    """Write one HTML page about a run: its curves, what it made of what, what went wrong, what to
    try next.

    Example: llmops runs report last -o report.html
    """
    from llmops.errors import BadInput
    from llmops.report.page import report
    from llmops.report.picture import picture
    from llmops.runner.record import find_run
    from llmops.spec.settings import load_settings
    from llmops.store.atomic import write_text
    from llmops.store.paths import ProjectPaths

    paths = ProjectPaths(load_settings().root)
    record = find_run(paths, run)
    page = output or Path(f"{record.id}.html")
    try:
        write_text(page, report(paths, record))
    except OSError as error:
        raise BadInput(f"{page} cannot be written: {error.strerror}") from error
    print(page)
    if png:
        picture(page, page.with_suffix(".png").resolve())
        print(page.with_suffix(".png"))


@app.command("diff")
def diff(
    a: Annotated[str, typer.Argument(help="A run's id.")],
    b: Annotated[str, typer.Argument(help="Another's, or `last`.")] = "last",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show how two runs differ: overrides, inputs, options, data, figures, how they ended.

    Example: llmops runs diff 20261120-193000-town last
    """
    from llmops.cli.output import print_json, print_table
    from llmops.runner.compare import compare
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    found = compare(ProjectPaths(load_settings().root), a, b)
    if json:
        print_json(found)
        return
    rows = [
        (one["key"], *("" if one[side] is None else f"{one[side]}" for side in "ab"))
        for one in found["differences"]
    ]
    print_table("", ("", found["a"], found["b"]), rows)


@app.command("queue")
def queue(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the runs that were asked for and have not ended: those whose turn has yet to come, those
    that run, and those that wait for evidence or a person.

    Example: llmops runs queue
    """
    from dataclasses import asdict

    from llmops.cli.output import print_json, print_table
    from llmops.scheduling.due import shown
    from llmops.scheduling.jobs import in_order, positions
    from llmops.scheduling.runs import opened
    from llmops.store.database import reading

    with opened() as runs, reading(runs.database) as connection:
        jobs, places = in_order(connection), positions(connection)
    if json:
        print_json([{**asdict(job), "queue_position": places.get(job.id)} for job in jobs])
        return
    rows = [
        (str(places.get(job.id, "")), job.id, job.state, job.target, job.by, shown(job.created))
        for job in jobs
    ]
    print_table("", ("place", "run", "state", "target", "by", "asked"), rows)


@app.command("events")
def events(
    run: Annotated[str, typer.Argument(help="The run's id, or `last`.")] = "last",
    json: Annotated[bool, typer.Option("--json", help="A JSON object on each line.")] = False,
) -> None:
    """Follow a run until it ends or waits: its stages, figures and logs, from any terminal.

    Example: llmops runs events last
    """
    from llmops.cli.run_events import event_lines
    from llmops.runner.observe import follow
    from llmops.runner.record import find_run
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    paths = ProjectPaths(load_settings().root)
    for change in follow(paths, find_run(paths, run).id):
        for line in event_lines(change, json=json):
            print(line, flush=True)


@app.command("stop")
def stop(run: Annotated[str, typer.Argument(help="The run's id.")]) -> None:
    """Stop a run: one that is queued never starts, one that runs ends in order and can go on later.

    Example: llmops runs stop 20261120-193000-town
    """
    from llmops.cli.person import person
    from llmops.scheduling.runs import opened

    with opened() as runs:
        print(f"{run}: {runs.stop(run, person())}")
