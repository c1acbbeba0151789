"""Runs as the API tells them: the records on disk, and the jobs that have yet to make one.

Files are the truth about a run (llmops/runner/record.py); a job that waits its turn, or for a
person, has a row in the database and no file yet.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from llmops.control.pages import Place, cut
from llmops.control.shape import Answer
from llmops.runner.record import RunRecord, StageRecord, find_run, read_run
from llmops.runner.resume import GOES_ON
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    from llmops.control.project import Project


class StageBrief(Answer):
    name: str
    kind: str
    state: str


class RunBrief(Answer):
    """A run in a list. started, ended: ISO 8601, UTC; seconds: so far."""

    id: str
    state: str = Field(description="queued and approval: a job that has not begun")
    target: str
    by: str = ""
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    stages: list[StageBrief] = Field(default_factory=list)
    queue_position: int | None = None
    error: str | None = None


def brief(record: RunRecord) -> dict[str, Any]:
    """The record of a run as a RunBrief."""
    return {
        "id": record.id,
        "state": record.state,
        "target": record.target,
        "by": record.by,
        "started": record.started,
        "ended": record.ended,
        "seconds": took(record),
        "stages": [
            {"name": one.name, "kind": one.kind, "state": shown(one)} for one in record.stages
        ],
        "queue_position": None,
        "error": next((one.error for one in record.stages if one.error), None),
    }


def took(record: RunRecord) -> float | None:
    """Seconds from its begin to its end, or to now; None when it died at an unknown time."""
    begin = datetime.fromisoformat(record.started)
    if record.ended is not None:
        end = datetime.fromisoformat(record.ended)
    elif record.state == "running":
        end = datetime.now(UTC)
    else:
        return None
    return max(0.0, round((end - begin).total_seconds(), 1))


def shown(stage: StageRecord) -> str:
    """As for people: `to come` for one that has not begun."""
    return stage.shown


def newest_first(paths: ProjectPaths, after: str | None = None) -> Iterator[RunRecord]:
    """The records on disk; after: only those that began before that run."""
    if not paths.runs.is_dir():
        return
    names = sorted((one.name for one in paths.runs.iterdir() if one.is_dir()), reverse=True)
    for name in names:
        if after is None or name < after:
            record = read_run(paths.run(name))
            if record is not None:
                yield record


def can_resume(record: RunRecord) -> bool:
    return record.state in GOES_ON


def page(
    project: "Project", place: Place, *, state: str | None, target: str | None
) -> dict[str, Any]:
    """A page of RunBrief, the newest first."""
    found = (
        brief(record)
        for record in newest_first(project.paths, place.after)
        if state in (None, record.state) and target in (None, record.target)
    )
    return cut(found, place, "id")


def detail(run: str, project: "Project") -> dict[str, Any]:
    """A run with its job and its graph, as the API's RunShown."""
    record = find_run(project.paths, run)
    return {
        **record.model_dump(),
        "seconds": took(record),
        "job": None,
        "graph": {
            "nodes": [
                one.model_dump(include={"name", "kind", "state", "output", "seconds", "error"})
                for one in record.stages
            ],
            "edges": [],
        },
        "resumable": can_resume(record),
        "stoppable": record.state == "running",
        "tensorboard": None,
    }
