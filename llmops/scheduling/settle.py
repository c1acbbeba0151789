"""What has become of a job, read from the files of its run: what its row should say now.

Whoever dispatches asks this of every job on each turn, so it makes no difference which process
started a run, or whether that one still lives. Reads only.
"""

import json
from datetime import datetime
from typing import Any

from llmops.runner.approval import read_approval
from llmops.runner.record import RunRecord, read_run
from llmops.runner.resume import GOES_ON
from llmops.scheduling.clock import millis
from llmops.scheduling.holder import Holder, read_holder
from llmops.scheduling.jobs import Job
from llmops.store.liveness import last_sign
from llmops.store.paths import ProjectPaths
from llmops.store.run_paths import RunPaths

LEASE_SECONDS = 60.0
"""In which a process that was started must have taken its job."""
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
    if (stopped := _stopped(run)) is not None:
        return _over("interrupted" if job.resume else "cancelled", now, stopped)
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
    if holder.state == "waiting":
        return {**spent, **_waits(run, _last_look(holder, run), now)}
    return {**spent, **_over(str(holder.state), holder.ended, holder.error)}


def _waits(run: RunPaths, took: float, now: float) -> dict[str, Any]:
    """took: seconds, of the look that found that it has to."""
    if (stopped := _stopped(run)) is not None:
        return _over("interrupted", now, stopped)
    look_at = millis(now + _interval(took))
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
        if record.state == "waiting":
            return {**values, **_waits(run, 0.0, now)}
        if record.state not in ("died", "interrupted"):
            return {**values, **_ended(record, now)}
    if (stopped := _stopped(run)) is not None:
        return {**values, **_over("interrupted", now, stopped)}
    if holder is not None and holder.deaths >= DEATHS:
        error = f"its process was killed, {holder.deaths + 1} times"
        return {**values, **_over("died", now, error)}
    again = {"state": "queued", "resume": record is not None, "lease_until": None}
    return {**values, **again}


def _resting(job: Job, run: RunPaths, now: float) -> dict[str, Any] | None:
    """It waits for evidence, or for its turn to go on."""
    if job.state == "waiting" and not _is_due(job, run, now):
        return None
    record = read_run(run)
    if record is not None and record.state == "running":
        return None  # at a terminal
    if record is not None and record.state not in GOES_ON:
        return _ended(record, now)
    return {"state": "queued", "resume": True} if job.state == "waiting" else None


def _is_due(job: Job, run: RunPaths, now: float) -> bool:
    """Also when a person has answered, or when it is due later than can be: then the clock has
    stepped back."""
    holder = read_holder(run)
    if _answered(run, holder):
        return True
    took = _last_look(holder, run) if holder is not None else 0.0
    return not now < (job.look_at or 0) / 1000 <= now + 2 * _interval(took)


def _answered(run: RunPaths, holder: Holder | None) -> bool:
    """Since it last began to look. Told by the files: the answer may come before the row says that
    the run waits."""
    began = int(holder.started) if holder is not None else 0
    found = (read_approval(file) for file in run.approvals.glob("*.json"))
    decided = (one.decided for one in found if one is not None and one.decided)
    return any(datetime.fromisoformat(one).timestamp() >= began for one in decided)


def _last_look(holder: Holder, run: RunPaths) -> float:
    """Seconds from when the stage that waits began; a training before it was no look."""
    if not holder.ended:
        return 0.0
    record = read_run(run)
    waiting = [stage for stage in record.stages if stage.state == "waiting"] if record else []
    began = [datetime.fromisoformat(one.started).timestamp() for one in waiting if one.started]
    return holder.ended - max([holder.started, *began])


def _interval(took: float) -> float:
    return max(LOOK_SECONDS, REST * took)


def _stopped(run: RunPaths) -> str | None:
    """Who stopped it; None when nobody did."""
    try:
        return f"stopped by {json.loads(run.stop.read_bytes())['by']}"
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return "stopped"


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
    """Also when it ends later than any lease that was just given."""
    return not now < (job.lease_until or 0) / 1000 <= now + 2 * LEASE_SECONDS


def _device_seconds(holder: Holder, run: RunPaths) -> float:
    ended = holder.ended if holder.ended is not None else last_sign(run.holder)
    return holder.devices * max(0.0, ended - holder.started)
