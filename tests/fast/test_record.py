"""Run records: states, clocks, and runs that died."""

import subprocess
import sys
from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.runner.record import RunLog, StageRecord, find_log, find_run, list_runs
from llmops.store.atomic import write_json
from llmops.store.liveness import process_mark
from llmops.store.paths import ProjectPaths


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
