"""What has become of a job, read from the files of its run: what its row should say now.

Whoever dispatches asks this of every job on each turn, so it makes no difference which process
started a run, or whether that one still lives. Reads only.
"""

from datetime import datetime
from typing import Any

from llmops.runner.record import RunRecord, read_run
from llmops.runner.resume import GOES_ON
from llmops.scheduling.clock import millis
from llmops.scheduling.holder import Holder, last_sign, read_holder
from llmops.scheduling.jobs import Job
from llmops.store.paths import ProjectPaths, RunPaths

LOOK_SECONDS = 60.0
REST = 10
"""A waiting run is asked again after ten times as long as the last look took, and at least after
LOOK_SECONDS."""
STARTS = 3
"""So many processes may be lost before the first one had the job."""
DEATHS = 1
"""So often a run that was cut off goes on by itself."""


def settled(
    job: Job, paths: ProjectPaths, now: float, *, lost: bool = False
) -> dict[str, Any] | None:
    """What to write into the job's row; None while there is nothing new. now: seconds; lost: the
    process that was started for it is known to be gone."""
    run = paths.run(job.id)
    if job.state == "starting":
        return _starting(job, run, now, lost=lost)
    if job.state == "running":
        return _running(job, run, now, lost=lost)
    if job.state == "waiting" or (job.state == "queued" and job.resume):
        return _resting(job, run, now)
    return None


def _starting(job: Job, run: RunPaths, now: float, *, lost: bool) -> dict[str, Any] | None:
    if not lost and not _expired(job, now):
        return None
    if run.stop.exists():
        return _over("interrupted" if job.resume else "cancelled", now)
    holder = read_holder(run)
    starts = job.tries - (holder.tries if holder is not None else 0)
    if starts >= STARTS:
        error = f"{starts} processes were started for it, and none came to begin"
        return _over("died", now, error)
    return {"state": "queued", "lease_until": None, "host": None}


def _running(job: Job, run: RunPaths, now: float, *, lost: bool) -> dict[str, Any] | None:
    holder = read_holder(run)
    if holder is None or holder.pid != job.pid:
        # It has the job, and has yet to say so in its file.
        return _cut_off(job, run, None, now) if lost or _expired(job, now) else None
    if holder.is_alive(run.holder):
        return None
    if holder.cut_off:
        return _cut_off(job, run, holder, now)
    spent = {"device_seconds": job.device_seconds + _device_seconds(holder, run)}
    assert holder.ended is not None
    if holder.state == "waiting" and not run.stop.exists():
        return {**spent, **_waits(holder.ended - holder.started, now)}
    return {**spent, **_over(str(holder.state), holder.ended, holder.error)}


def _waits(took: float, now: float) -> dict[str, Any]:
    """took: seconds, of the look that found that it has to."""
    look_at = millis(now + max(LOOK_SECONDS, REST * took))
    return {"state": "waiting", "look_at": look_at, "resume": True, "error": None}


def _cut_off(job: Job, run: RunPaths, holder: Holder | None, now: float) -> dict[str, Any] | None:
    """Its process ended without a word, or because the system said so."""
    record = read_run(run)
    if record is not None and record.state == "running":
        return None  # somebody goes on with it at a terminal
    spent = _device_seconds(holder, run) if holder is not None else 0.0
    values = {"device_seconds": job.device_seconds + spent}
    if record is not None and holder is not None and _wrote(holder, record):
        # It was killed once all was done, with no time left to say so here.
        if record.state == "waiting" and not run.stop.exists():
            return {**values, **_waits(spent, now)}
        if record.state not in ("died", "interrupted"):
            return {**values, **_ended(record, now)}
    if run.stop.exists():
        return {**values, **_over("interrupted", now)}
    if holder is not None and holder.deaths >= DEATHS:
        error = f"its process was killed, {holder.deaths + 1} times"
        return {**values, **_over("died", now, error)}
    again = {"state": "queued", "resume": record is not None, "lease_until": None}
    return {**values, **again}


def _resting(job: Job, run: RunPaths, now: float) -> dict[str, Any] | None:
    """It waits for evidence, or for its turn to go on."""
    record = read_run(run)
    if record is not None and record.state == "running":
        return None  # at a terminal
    if record is not None and record.state not in GOES_ON:
        return _ended(record, now)
    due = job.look_at is None or job.look_at <= millis(now)
    return {"state": "queued", "resume": True} if job.state == "waiting" and due else None


def _ended(record: RunRecord, now: float) -> dict[str, Any]:
    errors = [stage.error for stage in record.stages if stage.error]
    ended = datetime.fromisoformat(record.ended).timestamp() if record.ended else now
    return _over(record.state, ended, errors[-1] if errors else None)


def _wrote(holder: Holder, record: RunRecord) -> bool:
    """Whether the record is this holder's: not that of a process before it."""
    its, ours = (holder.pid, holder.process_started), (record.pid, record.process_started)
    return its == ours


def _over(state: str, at: float, error: str | None = None) -> dict[str, Any]:
    ended = {"state": state, "ended": millis(at), "error": error}
    return {**ended, "lease_until": None, "look_at": None}


def _expired(job: Job, now: float) -> bool:
    return job.lease_until is None or job.lease_until <= millis(now)


def _device_seconds(holder: Holder, run: RunPaths) -> float:
    ended = holder.ended if holder.ended is not None else last_sign(run.holder)
    return holder.devices * max(0.0, ended - holder.started)
