"""What waits for a person, and what the person says: runs that a trigger asked for, and stages
that move an alias (`approval: true`, both)."""

import time
from dataclasses import dataclass
from typing import Any

from llmops.errors import BadInput
from llmops.runner.approval import Approval, Decision, decide, read_approval
from llmops.runner.record import RunRecord, read_run
from llmops.runner.run_log import run_lock
from llmops.scheduling import jobs
from llmops.scheduling.clock import millis
from llmops.scheduling.due import shown
from llmops.scheduling.jobs import Job
from llmops.scheduling.runs import Runs
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths

_OPEN = ("waiting", "running")
"""States of a run in which an answer leads somewhere."""


@dataclass(frozen=True)
class Waits:
    """Something that waits for a person. stage: None for a run that has not begun; since: ISO 8601,
    UTC; evidence: what speaks for it; by: who asked for the run."""

    run: str
    stage: str | None
    what: str
    since: str
    evidence: str = ""
    by: str = ""


def approvals(runs: Runs) -> list[Waits]:
    """All that waits, the oldest first."""
    with reading(runs.database) as connection:
        starts = jobs.in_order(connection, ("approval",))
    found = [_start(job) for job in starts] + waiting_stages(runs.paths)
    return sorted(found, key=lambda one: one.since)


def waiting_stages(paths: ProjectPaths) -> list[Waits]:
    """Of those, the stages: told by files alone."""
    found = []
    for file in sorted(paths.runs.glob("*/approvals/*.json")):
        approval = read_approval(file)
        if approval is None or approval.decision is not None:
            continue
        record = read_run(paths.run(approval.run))
        if record is not None and record.state in _OPEN:
            found.append(_stage(approval, record))
    return found


def approve(
    runs: Runs,
    run: str,
    stage: str | None = None,
    *,
    by: str,
    decision: Decision = "approve",
    note: str = "",
) -> str:
    """Say yes or no; what was decided about, in words. stage: None for the run's start, or the only
    stage of it that waits. What waits goes on at the next turn of a scheduler.

    Raises BadInput when nothing waits there, or it was decided otherwise before.
    """
    job = runs.job(run)
    if stage is None and job is not None and job.state == "approval":
        return _decided_start(runs, job, by, decision, note)
    if job is None and read_run(runs.paths.run(run)) is None:
        raise jobs.unknown(run)
    name = stage or _only_stage(runs, run)
    with run_lock(runs.paths, run):
        approval = decide(runs.paths.run(run).approval(name), decision, by=by, note=note)
    _go_on(runs, run, by)
    return approval.what


def _decided_start(runs: Runs, job: Job, by: str, decision: Decision, note: str) -> str:
    yes = decision == "approve"
    said = f"rejected by {by}" + (f": {note}" if note else "")
    values = {"state": "queued"} if yes else _refused(said)
    with writing(runs.database) as connection:
        if not jobs.change(connection, job, **values):
            raise BadInput(f"run {job.id} was decided about meanwhile", fix="llmops approve")
    return _start(job).what


def _refused(said: str) -> dict[str, Any]:
    return {"state": "cancelled", "ended": millis(time.time()), "error": said}


def _only_stage(runs: Runs, run: str) -> str:
    """The stage of the run that waits. Raises BadInput unless there is exactly one."""
    found = [one for one in waiting_stages(runs.paths) if one.run == run and one.stage]
    if len(found) != 1:
        names = ", ".join(str(one.stage) for one in found)
        what = f"several stages of run {run} wait" if found else f"run {run} waits for nobody"
        raise BadInput(what, fix=f"name one: {names}" if found else "llmops approve")
    return str(found[0].stage)


def _go_on(runs: Runs, run: str, by: str) -> None:
    """A waiting run without a job gets one; the answer has that of another go on (settle.py)."""
    record = read_run(runs.paths.run(run))
    if runs.job(run) is None and record is not None and record.state == "waiting":
        runs.resume(run, by)


def _start(job: Job) -> Waits:
    return Waits(job.id, None, f"run {job.target}", shown(job.created), by=job.by)


def _stage(approval: Approval, record: RunRecord) -> Waits:
    return Waits(
        approval.run, approval.stage, approval.what, approval.asked, approval.evidence, record.by
    )
