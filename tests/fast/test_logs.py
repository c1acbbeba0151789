"""What processes say: for people, or as JSON with one correlation id."""

import io
import json
import logging
import math
from pathlib import Path

import pytest

from llmops.engines.contract import Progress
from llmops.runner.execute import execute
from llmops.runner.json_reporter import JsonReporter
from llmops.runner.plan import make_plan
from llmops.runner.progress import reporter
from llmops.runner.record import StageRecord
from llmops.runner.run_log import Asked, RunLog
from llmops.runner.stage import Context, Stage
from llmops.spec.settings import load_settings
from llmops.store import logs
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops, run_llmops
from tests.fast.copying_stage import Copying, write_project


@pytest.fixture
def as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.FORMAT, "json")
    monkeypatch.setenv(logs.CORRELATION, "request-1")


def formatted(**extra: object) -> str:
    record = logging.LogRecord("llmops.x", logging.WARNING, "", 0, "a\nb %s", ("c",), None)
    record.__dict__.update(extra)
    return logs.Lines("%(levelname)s %(message)s").format(record)


def test_a_record_is_one_json_object(as_json: None) -> None:
    text = formatted(status=503)
    found = json.loads(text)
    assert "\n" not in text
    assert (found["level"], found["message"], found["status"]) == ("warning", "a\nb c", 503)


def test_each_object_carries_the_correlation_id(as_json: None) -> None:
    assert json.loads(logs.line("hello"))["correlation"] == "request-1"


def test_what_is_said_while_a_stage_runs_says_which(as_json: None) -> None:
    with logs.bound(run="run-1", stage="sft", attempt=2):
        found = [json.loads(formatted()), json.loads(logs.line("hello", stage="dpo"))]
    assert [(one["run"], one["stage"], one["attempt"]) for one in found] == [
        ("run-1", "sft", 2),
        ("run-1", "dpo", 2),
    ]
    assert "run" not in json.loads(logs.line("hello"))


def test_a_request_s_own_id_comes_before_the_process_s(as_json: None) -> None:
    token = logs.correlation.set("request-2")
    try:
        assert json.loads(formatted())["correlation"] == "request-2"
    finally:
        logs.correlation.reset(token)


def test_people_get_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(logs.FORMAT, raising=False)
    assert formatted() == "WARNING a\nb c"


def test_a_run_is_told_as_json(as_json: None) -> None:
    stream = io.StringIO()
    shown = reporter(stream)
    shown.begin("run-1", ["sft"])
    shown.failed("sft", "the disk is full")
    first, last = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["run"], first["stages"]) == ("run-1", ["sft"])
    assert (last["stage"], last["level"], last["why"]) == ("sft", "error", "the disk is full")


def test_a_stage_is_told_as_json_now_and_then(as_json: None) -> None:
    stream = io.StringIO()
    shown = reporter(stream)
    shown.started("sft", "sft full", [])
    for step in (5, 6):
        shown.progress("sft", Progress("training", step, 10, 1.5))
    shown.progress("sft", Progress("training", 6, 10, warning="the loss is nan"))
    shown.progress("sft", Progress("done"))
    shown.done("sft", "town:v1")
    begun, told, warned, ended = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (begun["message"], told["step"], told["total"]) == ("stage begins", 5, 10)
    assert (warned["level"], warned["message"]) == ("warning", "the loss is nan")
    assert (ended["output"], ended["seconds"] < 60) == ("town:v1", True)


def test_a_loss_that_is_no_number_makes_no_line_that_is_no_json(as_json: None) -> None:
    stream = io.StringIO()
    values = {"eval_loss": 1.5, "memory_bytes": 6e8}
    reporter(stream).progress("sft", Progress("training", 5, 10, math.nan, 1e-3, values=values))
    found = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    assert "loss" not in found
    assert (found["learning_rate"], found["eval_loss"], found["memory_bytes"]) == (1e-3, 1.5, 6e8)


def test_each_line_about_a_stage_has_its_run_and_attempt(as_json: None, project: Path) -> None:
    write_project(project)
    kinds: dict[str, Stage] = {"train": Copying()}
    context, told = Context(load_settings()), io.StringIO()
    planned = make_plan(project / "r.yaml", [], context=context, kinds=kinds)
    record = execute(planned, context=context, kinds=kinds, reporter=JsonReporter(told))
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    found = {(one["run"], one["stage"], one["attempt"]) for one in lines if "stage" in one}
    assert found == {(record.id, "r", 1)}


def test_an_error_is_told_as_json(project: Path) -> None:
    done = run_llmops("--log-format", "json", "plan", "nope.yaml", cwd=project)
    told = json.loads(done.stderr)
    assert done.returncode == 2
    assert (told["part"], told["level"], told["where"]) == ("plan", "error", "nope.yaml")


def test_a_format_that_there_is_not(llmops: Llmops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.FORMAT, "xml")
    done = llmops("doctor")
    assert done.returncode == 2
    assert "`xml` is no log format" in done.stderr


@pytest.mark.parametrize(("asked", "expected"), [("request-3", "request-3"), ("", "request-1")])
def test_a_run_keeps_the_id_of_who_asked_for_it(
    as_json: None, tmp_path: Path, asked: str, expected: str
) -> None:
    stages = [StageRecord(name="sft", kind="train")]
    log = RunLog.begin(
        ProjectPaths(tmp_path), "sft", "sft.yaml", [], stages, asked=Asked(correlation=asked)
    )
    assert log.record.correlation == expected


def test_an_error_is_found_among_what_was_said_in_either_format(as_json: None) -> None:
    first, last = logs.line("the disk is full", level="error"), logs.line("stopping")
    assert logs.last_error([first, last]) == "the disk is full"
    assert logs.last_error(["error: no disk", "  fix: buy one"]) == "no disk"
    assert logs.last_error([last, "[1]", ""]) == ""
