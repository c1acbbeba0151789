"""One run as the API tells it: its record, its job, and what may be done with it."""

from typing import TYPE_CHECKING, Any

from llmops.control.presence import present
from llmops.control.runs import state_of, time_of, took
from llmops.runner.record import RunRecord, StageRecord, find_run, read_run
from llmops.runner.resume import GOES_ON
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    from llmops.control.project import Project
    from llmops.scheduling.jobs import Job
    from llmops.scheduling.queue import Standing

_OF_JOB = ("id", "state", "target", "overrides", "force", "begin", "until", "by", "correlation")
"""What a run that has not begun is told by."""


def detail(run: str, project: "Project") -> dict[str, Any]:
    """A run with its job and its graph, as the API's RunShown. Raises BadInput when there is no
    run of that id and no job either."""
    paths = project.paths
    if run == "last":
        newest = next(project.run_list.newest_first(), None)
        run = newest["id"] if newest is not None else run
    record = read_run(paths.run(run))
    standing = project.run_list.queue().get(run)
    job = standing.job if standing is not None else project.run_list.job(run)
    if record is None and job is None:
        find_run(paths, run)  # tells what there is
    found = _recorded(record, job, paths) if record is not None else _asked(job)
    return {
        **found,
        "job": _job_shown(job, standing) if job is not None else None,
        "resumable": _resumable(record, job),
        "stoppable": found["state"] in ("running", "starting", "queued", "approval", "waiting"),
        "tensorboard": _tensorboard(paths),
    }


def _recorded(record: RunRecord, job: "Job | None", paths: ProjectPaths) -> dict[str, Any]:
    from llmops.runner.approval import read_approval
    from llmops.runner.observe import graph

    def shown(one: StageRecord) -> dict[str, Any]:
        file = paths.run(record.id).approval(one.name)
        asked = read_approval(file) if one.state == "waiting" else None
        open_ = asked is not None and asked.decision is None
        return {**one.model_dump(exclude={"declared"}), "state": one.shown, "approval": open_}

    return {
        **record.model_dump(exclude={"host", "pid", "process_started"}),
        "state": state_of(record, job),
        "stages": [shown(one) for one in record.stages],
        "seconds": took(record),
        "graph": graph(paths, record.id),
    }


def _asked(job: "Job | None") -> dict[str, Any]:
    from llmops.scheduling.jobs import RUNS

    assert job is not None
    return {
        **{key: getattr(job, key) for key in _OF_JOB},
        "file": job.target,
        "gpus": job.gpus.split(",") if job.gpus and job.state in RUNS else [],
        "started": time_of(job.started),
        "ended": time_of(job.ended),
        "seconds": None,
        "stages": [],
        "graph": {"nodes": [], "edges": []},
    }


def _job_shown(job: "Job", standing: "Standing | None") -> dict[str, Any]:
    return {
        "state": job.state,
        "by": job.by,
        "trigger": job.trigger,
        "created": time_of(job.created),
        "tries": job.tries,
        "queue_position": standing.place if standing is not None else None,
        "why": standing.why if standing is not None else "",
        "look_at": time_of(job.look_at),
        "device_seconds": job.device_seconds,
        "error": job.error,
    }


def _resumable(record: RunRecord | None, job: "Job | None") -> bool:
    if job is not None and job.state in ("approval", "queued", "starting", "running"):
        return False
    if record is None:
        return job is not None and job.state in ("cancelled", "failed", "died", "interrupted")
    return record.state in GOES_ON


def _tensorboard(paths: ProjectPaths) -> str | None:
    """That of `llmops up`, which tells of its parts in its own file."""
    kept = (present(paths, "up") or {}).get("parts", ())
    return next((part["url"] for part in kept if part["name"] == "tensorboard"), None)
