"""A run, and its place in the queue, as text for a person."""

from typing import TYPE_CHECKING

from llmops.cli.output import note, print_table

if TYPE_CHECKING:
    from llmops.runner.record import RunRecord
    from llmops.runner.scope import Scope
    from llmops.scheduling.jobs import Job
    from llmops.scheduling.queue import Standing
    from llmops.scheduling.runs import Runs
    from llmops.store.paths import ProjectPaths


def found(run: str) -> "tuple[RunRecord | None, Standing | None]":
    """The record of a run, by its id or `last`, and its place in the queue; one of both is there.
    While the database is away, its files tell. Raises NotFound."""
    from llmops.errors import Failed
    from llmops.runner.record import find_run, read_run
    from llmops.scheduling.runs import opened
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    try:
        with opened() as runs:
            name = runs.named(run)
            return read_run(runs.paths.run(name)), runs.standing(name)
    except Failed as error:
        note(f"warning: {error.line}; what is queued is not known")
        return find_run(ProjectPaths(load_settings().root), run), None


def unbegun() -> "list[Job]":
    """Runs that have no record yet, or ended without; none while the database is away."""
    from llmops.errors import Failed
    from llmops.scheduling.runs import opened

    try:
        with opened() as runs:
            return runs.unbegun()
    except Failed as error:
        note(f"warning: {error.line}; what is queued is not known")
        return []


def print_run(paths: "ProjectPaths", record: "RunRecord", standing: "Standing | None") -> None:
    """standing: of one that the queue has."""
    from llmops.runner.observe import warnings
    from llmops.runner.resume import GOES_ON

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
    if standing is not None and standing.job.state in ("queued", "starting"):
        note(f"it goes on: {standing.job.state}; {standing.why}")
    elif record.state in GOES_ON:
        note(f"go on with it: llmops run --resume {record.id}")


def print_job(standing: "Standing") -> None:
    """A run that has not begun, or ended before it did."""
    from llmops.scheduling.due import shown

    job = standing.job
    rows = [
        ("state", job.state if standing.place is None else f"{job.state}, place {standing.place}"),
        ("why", job.error or standing.why),
        ("target", " ".join([job.target, *job.overrides])),
        ("stages", _stages(job.scope)),
        ("devices", str(job.devices)),
        ("asked", f"{shown(job.created)} by {job.by}"),
    ]
    print_table(job.id, ("", ""), [row for row in rows if row[1]])
    if job.ended is not None:
        note(f"its log: .llmops/logs/run-{job.id}.log; go on with it: llmops runs resume {job.id}")


def note_queued(runs: "Runs", run: str) -> None:
    """What becomes of a run that was just queued; started here where no scheduler does it."""
    from llmops.scheduling.interim import ensure
    from llmops.scheduling.queue import UNWORKED

    ensure(runs.settings, runs.database)
    standing = runs.standing(run)
    if standing is not None and standing.job.state == "queued":
        begins = standing.why == UNWORKED  # whoever works it off from now on
        note(f"queued: {'it starts in the background' if begins else standing.why}")
    note(f"follow it: llmops runs logs -f {run}")


def _stages(scope: "Scope") -> str:
    told = [
        "again what is up to date" if scope.force else "",
        f"again from {scope.begin}" if scope.begin else "",
        f"until {scope.until}" if scope.until else "",
    ]
    return ", ".join(filter(None, told))
