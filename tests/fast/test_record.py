"""Run records: states, clocks, and runs that died."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.runner import run_log
from llmops.runner.alarm import Alarm
from llmops.runner.record import RunRecord, StageRecord, find_log, find_run, list_runs, read_run
from llmops.runner.resume import resume
from llmops.runner.run_log import RunLog
from llmops.runner.running import Running
from llmops.runner.stage import Context
from llmops.spec.settings import load_settings
from llmops.store.atomic import write_json
from llmops.store.liveness import SILENT_SECONDS, process_mark
from llmops.store.paths import ProjectPaths
from tests.waiting import until


@pytest.fixture
def log(project: Path) -> RunLog:
    return RunLog.begin(
        ProjectPaths(project), "town", "p.yaml", ["a=1"], [StageRecord(name="sft", kind="train")]
    )


def test_a_run_is_found_again(project: Path, log: RunLog) -> None:
    log.stage("sft", "running", attempt=1)
    log.stage("sft", "done", output="town:v1")
    log.end("done")
    found = find_run(ProjectPaths(project), "last")
    assert found.state == "done"
    assert found.stages[0].output == "town:v1"
    assert found.stages[0].seconds is not None


def test_runs_of_the_same_second_have_names_of_their_own(project: Path, log: RunLog) -> None:
    other = RunLog.begin(ProjectPaths(project), "town", "p.yaml", [], [])
    assert other.record.id != log.record.id
    assert len(list_runs(ProjectPaths(project))) == 2


def test_a_run_whose_process_is_gone_has_died(project: Path, log: RunLog) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    log.stage("sft", "running")
    changed = {"pid": child.pid, "process_started": process_mark(child.pid)}
    record = log.record.model_copy(update=changed)
    write_json(log.paths.record, record.model_dump())
    assert find_run(ProjectPaths(project), record.id).state == "running"
    child.communicate(b"\n")
    found = find_run(ProjectPaths(project), record.id)
    assert (found.state, found.stages[0].state) == ("died", "died")


def elsewhere(log: RunLog, seconds: float) -> RunRecord:
    """The record of a run on another host, whose last sign of life is so long ago."""
    write_json(log.paths.record, log.record.model_copy(update={"host": "other"}).model_dump())
    at = time.time() - seconds
    os.utime(log.paths.record, (at, at))
    found = read_run(log.paths)
    assert found is not None
    return found


def test_a_run_on_another_host_lives_while_it_gives_signs_of_life(
    project: Path, log: RunLog
) -> None:
    assert elsewhere(log, SILENT_SECONDS - 30).state == "running"
    assert list(Running(ProjectPaths(project)).records()) == []  # it takes none of our devices
    assert elsewhere(log, SILENT_SECONDS + 30).state == "died"


def test_a_run_says_where_it_lives_and_gives_signs_of_life(
    project: Path, log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log.record.host == socket.gethostname()
    os.utime(log.paths.record, (0, 0))
    monkeypatch.setattr(run_log, "BEAT_SECONDS", 0.01)
    with log.living():
        until(lambda: log.paths.record.stat().st_mtime > 0)


def test_a_run_that_another_host_has_is_not_taken_over(project: Path, log: RunLog) -> None:
    elsewhere(log, 0)
    with pytest.raises(BadInput, match="on the host other"):
        resume("last", context=Context(load_settings()), kinds={})


def test_a_directory_without_a_record_is_no_run(project: Path, log: RunLog) -> None:
    (ProjectPaths(project).runs / "torn").mkdir()
    assert [r.id for r in list_runs(ProjectPaths(project))] == [log.record.id]


def test_an_unknown_run_names_the_nearest(project: Path, log: RunLog) -> None:
    with pytest.raises(BadInput) as caught:
        find_run(ProjectPaths(project), log.record.id + "x")
    assert log.record.id in str(caught.value)


def test_the_log_of_a_stage_is_found(project: Path, log: RunLog) -> None:
    log.stage("sft", "running", attempt=1)
    path = log.paths.attempt("sft", 1).log
    path.parent.mkdir(parents=True)
    path.write_text("one\ntwo\n", encoding="utf-8")
    assert find_log(ProjectPaths(project), "last", None, 1) == (path, "two")
    with pytest.raises(BadInput, match="did not run"):
        find_log(ProjectPaths(project), "last", "sfft", 1)


def test_a_change_is_a_line_below_the_record(project: Path, log: RunLog) -> None:
    """So a thousand stages write a thousand lines, not a thousand records."""
    begun = log.paths.record.read_bytes()
    log.stage("sft", "running", attempt=1)
    log.alarm("sft", Alarm("overfitting", 12, "it rose"), "warn")
    log.stage("sft", "failed", error="Größe ✗")
    text = log.paths.record.read_bytes()
    assert text.startswith(begun)
    assert text.count(b"\n") == begun.count(b"\n") + 3
    stage = find_run(ProjectPaths(project), "last").stages[0]
    assert (stage.state, stage.attempt, stage.error) == ("failed", 1, "Größe ✗")
    assert [(one.step, one.reaction) for one in stage.alarms] == [(12, "warn")]


def test_an_end_leaves_one_json_object(project: Path, log: RunLog) -> None:
    log.stage("sft", "reused", output="town:v1")
    log.end("done")
    whole = json.loads(log.paths.record.read_text(encoding="utf-8"))
    assert (whole["state"], whole["stages"][0]["output"]) == ("done", "town:v1")


def test_wherever_a_crash_cuts_the_record_off_what_came_before_holds(
    project: Path, log: RunLog
) -> None:
    begun = len(log.paths.record.read_bytes())
    log.stage("sft", "running", attempt=1)
    running = len(log.paths.record.read_bytes())
    log.stage("sft", "failed", error="Größe ✗")
    text = log.paths.record.read_bytes()
    for end in range(begun, len(text) + 1):
        log.paths.record.write_bytes(text[:end])
        state = find_run(ProjectPaths(project), "last").stages[0].state
        expected = "waiting" if end < running else "running" if end < len(text) else "failed"
        assert state == expected, end


def test_who_goes_on_with_a_run_that_was_cut_off_writes_its_record_anew(
    project: Path, log: RunLog
) -> None:
    log.stage("sft", "running", attempt=1)
    with log.paths.record.open("ab") as file:
        file.write(b'{"name": "sft", "kind": "tr')
    record = find_run(ProjectPaths(project), "last")
    again = RunLog.resume(ProjectPaths(project), record)
    again.stage("sft", "done", output="town:v1")
    stage = find_run(ProjectPaths(project), "last").stages[0]
    assert (stage.state, stage.output, stage.attempt) == ("done", "town:v1", None)
