"""`llmops runs`: what ran, how far it came, its logs; comparing them. The queue: runs_queue.py."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from llmops.cli import runs_queue
from llmops.cli.runs_queue import RUN

app = typer.Typer(no_args_is_help=True, help="List runs, show one, follow it, stop it.")


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the runs of this project, oldest first; also those that are queued.

    Example: llmops runs list
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.cli.run_text import unbegun
    from llmops.runner.record import list_runs
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    jobs, records = unbegun(), list_runs(ProjectPaths(load_settings().root))
    if json:
        found = [asdict(job) for job in jobs] + [record.model_dump() for record in records]
        print_json(sorted(found, key=lambda one: str(one["id"])))
        return
    rows = [(job.id, job.state, job.target, "", job.error or "") for job in jobs]
    for r in records:
        stages = ", ".join(f"{s.name} {s.shown}" for s in r.stages)
        rows.append((r.id, r.state, r.target, r.started, stages))
    if not rows:
        note("there are no runs yet; llmops run RECIPE starts one")
        return
    print_table("", ("run", "state", "target", "started", "stages"), sorted(rows))


@app.command("show")
def show(
    run: Annotated[str, typer.Argument(help=RUN)] = "last",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show one run: its stages, times, outputs and errors, or its place in the queue.

    Example: llmops runs show last
    """
    from llmops.cli.output import print_json
    from llmops.cli.run_text import found, print_job, print_run
    from llmops.runner.observe import warnings
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    paths = ProjectPaths(load_settings().root)
    record, standing = found(run)
    if record is None:
        assert standing is not None
        if json:
            print_json({**asdict(standing.job), "place": standing.place, "why": standing.why})
        else:
            print_job(standing)
    elif json:
        print_json({**record.model_dump(), "warnings": warnings(paths, record.id)})
    else:
        print_run(paths, record, standing)


@app.command("logs")
def logs(
    run: Annotated[str, typer.Argument(help=RUN)] = "last",
    stage: Annotated[
        str | None, typer.Argument(help="The stage; the last one that ran when left out.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.")] = 40,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends, with its exit code.")
    ] = False,
) -> None:
    """Print the end of a stage's log, as the engine wrote it; or all logs of a run as they grow.

    A run that is queued is waited for. What follows a run ends as it does: 0 done, or waiting for
    evidence; 1 failed; 3 refused; 130 stopped.

    Example: llmops runs logs last sft
    """
    from llmops.cli.output import note
    from llmops.cli.run_events import follow_logs
    from llmops.cli.run_text import found
    from llmops.runner.record import find_log
    from llmops.scheduling.runs import opened
    from llmops.spec.settings import load_settings
    from llmops.spec.source import display
    from llmops.store.paths import ProjectPaths

    if follow:
        with opened() as runs:
            raise typer.Exit(follow_logs(runs, runs.named(run), stage))
    record, standing = found(run)
    if record is None:
        assert standing is not None
        note(f"{standing.job.id} has not begun; with -f it is waited for")
        return
    path, text = find_log(ProjectPaths(load_settings().root), record.id, stage, lines)
    note(display(path))
    print(text)


@app.command("report")
def report(
    run: Annotated[str, typer.Argument(help=RUN)] = "last",
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
    from llmops.cli.differences import print_differences
    from llmops.runner.compare import compare
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    print_differences(compare(ProjectPaths(load_settings().root), a, b), json)


app.command("queue")(runs_queue.queue)
app.command("events")(runs_queue.events)
app.command("stop")(runs_queue.stop)
app.command("resume")(runs_queue.resume)
