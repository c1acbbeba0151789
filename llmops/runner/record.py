"""Run records: what ran, how far it came, and whether it still lives.

A record is a file, and the truth (design decision 14): one JSON object, written atomically when a
run begins, goes on and ends. What changes meanwhile is added below it, a line for each change of a
stage, so that the time of a run grows with its stages and not with their square.
"""

import contextlib
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from llmops.errors import BadInput, NotFound
from llmops.runner.scope import Scope
from llmops.spec.grammar import Spec
from llmops.spec.suggest import did_you_mean
from llmops.store.liveness import lives
from llmops.store.paths import ProjectPaths
from llmops.store.run_paths import RunPaths

State = Literal["waiting", "running", "reused", "done", "failed", "refused", "interrupted", "died"]


class Alarmed(Spec):
    """An alarm of a stage's last attempt. kind, step, text: as in runner/alarm.py; reaction: warn,
    stop or fail; time: ISO 8601, UTC."""

    kind: str
    step: int
    text: str
    reaction: str
    time: str


class StageRecord(Spec):
    """One stage of a run. state: `waiting` also for one that has not begun. attempt: None for one
    that was reused or has not begun. declared: sha256 of its declaration (runner/resume.py);
    output, digest: what it made. proposal: overrides with which one that ran out of memory would
    need less."""

    name: str
    kind: str
    declared: str = ""
    state: State = "waiting"
    attempt: int | None = None
    output: str | None = None
    digest: str | None = None
    started: str | None = None
    seconds: float | None = None
    error: str | None = None
    alarms: list[Alarmed] = Field(default_factory=list)
    proposal: str = ""

    @property
    def shown(self) -> str:
        """The state in a word for people: one that waits for evidence says what for."""
        return "to come" if self.state == "waiting" and self.error is None else self.state


class RunRecord(Spec):
    """file: the target, relative to the project. host (empty: this one), pid and process_started
    tell a living run from a dead one whose pid was given away. force, begin, until: as in Scope.
    by: who asked for it (cli:USER, api:KEY, schedule:TRIGGER); correlation: ties it to the request
    that it came from. gpus: those that its process has, as CUDA_VISIBLE_DEVICES takes them."""

    id: str
    target: str
    file: str = ""
    overrides: list[str] = Field(default_factory=list)
    force: bool = False
    begin: str | None = None
    until: str | None = None
    state: State = "running"
    started: str
    ended: str | None = None
    host: str = ""
    pid: int
    process_started: str
    by: str = ""
    correlation: str = ""
    gpus: list[str] = Field(default_factory=list)
    stages: list[StageRecord] = Field(default_factory=list)

    @property
    def scope(self) -> Scope:
        return Scope(self.force, self.begin, self.until)

    @property
    def is_here(self) -> bool:
        """Whether this host's kernel knows its process."""
        return self.host in ("", socket.gethostname())

    def now(self, file: Path) -> "RunRecord":
        """The record with `died` for a run that says it runs and does not. file: where this was
        read."""
        if self.state != "running" or lives(self.host, self.pid, self.process_started, file):
            return self
        stages = [
            s.model_copy(update={"state": "died"}) if s.state == "running" else s
            for s in self.stages
        ]
        return self.model_copy(update={"state": "died", "stages": stages})


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def list_runs(project: ProjectPaths) -> list[RunRecord]:
    """All the runs, oldest first."""
    found = (read_run(project.run(name)) for name in _names(project))
    return [record for record in found if record is not None]


def _names(project: ProjectPaths) -> list[str]:
    """Of all that have a directory, the oldest first."""
    return sorted(os.listdir(project.runs)) if project.runs.is_dir() else []


def read_run(paths: RunPaths) -> RunRecord | None:
    """None when the directory holds no whole record (killed before the first write)."""
    try:
        found = _parsed(paths.record.read_text("utf-8", errors="replace"))
        return found.now(paths.record)
    except (OSError, ValueError):
        return None


def _parsed(text: str) -> RunRecord:
    """The record with the changes below it. The last line is empty, or what a crash left of one."""
    whole, end = json.JSONDecoder().raw_decode(text)
    record = RunRecord.model_validate(whole)
    stages = {stage.name: stage for stage in record.stages}
    for line in text[end:].split("\n")[1:-1]:
        with contextlib.suppress(ValueError):  # a disk that was full; the end is written anew
            changed = StageRecord.model_validate_json(line)
            stages[changed.name] = changed
    return record.model_copy(update={"stages": [*stages.values()]})


def find_run(project: ProjectPaths, run: str) -> RunRecord:
    """A run by its id, or `last`. Raises NotFound when there is none."""
    if run == "last":
        for name in reversed(_names(project)):
            if (record := read_run(project.run(name))) is not None:
                return record
        raise NotFound("there are no runs yet", fix="llmops run RECIPE starts one")
    record = read_run(project.run(run))
    if record is None:
        fix = did_you_mean(run, _names(project)) or "llmops runs list"
        raise NotFound(f"no run `{run}`", fix=fix)
    return record


def find_log(project: ProjectPaths, run: str, stage: str | None, lines: int) -> tuple[Path, str]:
    """The log of a run's stage (default: the last that ran) and its last lines.

    Raises BadInput when the run or the stage does not exist, or the stage never ran.
    """
    from llmops.runner.process import tail

    record = find_run(project, run)
    ran = {s.name: s for s in record.stages if s.attempt is not None}
    if not ran:
        raise BadInput(f"no stage of run {record.id} ran an engine")
    name = stage or list(ran)[-1]
    if name not in ran:
        fix = did_you_mean(name, list(ran))
        raise BadInput(f"stage `{name}` did not run in {record.id}", fix=fix)
    attempt = ran[name].attempt
    assert attempt is not None
    path = project.run(record.id).attempt(name, attempt).log
    return path, tail(path, lines)
