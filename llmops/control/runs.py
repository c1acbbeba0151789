"""Runs as the API tells them: the records on disk, and the jobs that have yet to make one.

Files are the truth about a run (llmops/runner/record.py). A job that waits its turn, or for a
person, has a row in the database and an empty directory; while the database is away, such jobs are
missing from the list, and nothing else.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field

from llmops.control.pages import Place, cut
from llmops.control.shape import Answer
from llmops.errors import Failed
from llmops.runner.record import RunRecord, read_run

if TYPE_CHECKING:
    from llmops.control.project import Project
    from llmops.scheduling.jobs import Job
    from llmops.scheduling.queue import Queue, Standing

REMEMBERED = 2_000
"""Runs that have ended whose records are kept in memory; and as many that never began."""


class StageBrief(Answer):
    """alarms: kinds of what was seen of its training."""

    name: str
    kind: str
    state: str
    alarms: list[str] = Field(default_factory=list)


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


class Runs:
    """The runs of a project, in lists. Remembers the records that change no more."""

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._known: dict[str, tuple[tuple[int, int, int], RunRecord, str]] = {}
        self._ended: dict[str, Job] = {}

    def page(
        self, place: Place, *, state: str | None = None, target: str | None = None
    ) -> dict[str, Any]:
        """A page of RunBrief, the newest first."""
        found = (
            one
            for one in self.newest_first(place.after)
            if state in (None, one["state"]) and target in (None, one["target"])
        )
        return cut(found, place, "id")

    def newest_first(self, after: str | None = None) -> Iterator[dict[str, Any]]:
        """after: only those that were asked for before that run."""
        queue = self.queue()
        for name in self._names():
            if after is None or name < after:
                found = self._brief(name, queue)
                if found is not None:
                    yield found

    @cached_property
    def _queue(self) -> "Queue":
        from llmops.scheduling.queue import Queue

        return Queue(self._project.paths)

    def queue(self) -> dict[str, "Standing"]:
        """The jobs that have not ended, by id; none while the database is away."""
        try:
            return {one.job.id: one for one in self._queue.standings(self._project.database)}
        except Failed:
            return {}

    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        found: dict[str, int] = {}
        for one in self.newest_first():
            found[one["state"]] = found.get(one["state"], 0) + 1
        return found

    def _names(self) -> list[str]:
        try:
            return sorted((one.name for one in self._project.paths.runs.iterdir()), reverse=True)
        except FileNotFoundError:
            return []

    def _brief(self, name: str, queue: dict[str, "Standing"]) -> dict[str, Any] | None:
        record, standing = self._read(name), queue.get(name)
        if record is not None:
            return _of_record(record, standing)
        if standing is not None:
            self._ended.pop(name, None)
            return _of_job(standing.job, standing)
        job = self._ended.get(name) or self.job(name)
        if job is not None and job.ended is not None:
            _keep(self._ended, name, job)
        return _of_job(job, None) if job is not None else None

    def _read(self, name: str) -> RunRecord | None:
        known = self._known.get(name)
        file = known[2] if known else str(self._project.paths.run(name).record)
        try:
            stat = os.stat(file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if known is not None and known[0] == mark:
            return known[1]
        record = read_run(self._project.paths.run(name))
        if record is not None and record.state not in ("running", "died"):
            _keep(self._known, name, (mark, record, file))
        return record

    def job(self, name: str) -> "Job | None":
        """Of a run that ended before it began."""
        from llmops.scheduling.jobs import find
        from llmops.store.database import reading

        try:
            with reading(self._project.database) as connection:
                return find(connection, name)
        except Failed:
            return None


def _keep(known: dict[str, Any], name: str, value: Any) -> None:
    """The newest are kept. Were it the last ones read, a list longer than that, which is read from
    its top each time, would find none of them."""
    known[name] = value
    if len(known) > REMEMBERED:
        known.pop(min(known.copy()), None)


def _of_record(record: RunRecord, standing: "Standing | None") -> dict[str, Any]:
    return {
        "id": record.id,
        "state": state_of(record, standing.job if standing is not None else None),
        "target": record.target,
        "by": record.by,
        "started": record.started,
        "ended": record.ended,
        "seconds": took(record),
        "stages": [
            {
                "name": one.name,
                "kind": one.kind,
                "state": one.shown,
                "alarms": [alarm.kind for alarm in one.alarms],
            }
            for one in record.stages
        ],
        "queue_position": standing.place if standing is not None else None,
        "error": next((one.error for one in record.stages if one.error), None),
    }


def _of_job(job: "Job", standing: "Standing | None") -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "target": job.target,
        "by": job.by,
        "started": time_of(job.started),
        "ended": time_of(job.ended),
        "seconds": None,
        "stages": [],
        "queue_position": standing.place if standing is not None else None,
        "error": job.error,
    }


def state_of(record: RunRecord, job: "Job | None") -> str:
    """The job's while it has been asked to go on and has not yet."""
    if job is not None and job.state in ("queued", "starting") and record.state != "running":
        return job.state
    return record.state


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


def time_of(millis: int | None) -> str | None:
    """Milliseconds since 1970 as ISO 8601, UTC."""
    if millis is None:
        return None
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds")
