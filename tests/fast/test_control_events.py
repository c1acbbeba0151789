"""Live events of a run: what changes, in order, and nothing twice to whoever comes back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from tests.fast.control_process import ControlProcess, control, controlled, make_project
from tests.waiting import until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    with controlled(tmp_path_factory, "--no-scheduler", "--no-ingest") as process:
        yield process


def begun(root: Path) -> RunLog:
    """A run in hand; this process is the one that runs it."""
    from llmops.store.paths import ProjectPaths

    stages = [StageRecord(name="sft", kind="train")]
    log = RunLog.begin(ProjectPaths(root), "sft", "recipes/sft.yaml", [], stages)
    log.stage("sft", "running", attempt=1)
    log.paths.attempt("sft", 1).root.mkdir(parents=True)
    return log


def said(log: RunLog, text: str) -> None:
    with log.paths.attempt("sft", 1).log.open("a") as file:
        file.write(text)


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if line and name in ("event", "id", "data"):
            found[name] = json.loads(value) if name == "data" else value
        elif not line and "event" in found:
            yield found
            found = {}


def test_what_changes_is_told_as_it_happens(running: ControlProcess) -> None:
    log = begun(running.root)
    with running.client() as client, client.stream("GET", f"/runs/{log.record.id}/events") as told:
        assert told.headers["content-type"].startswith("text/event-stream")
        stream = events(told)
        assert next(stream)["data"]["state"] == "running"
        said(log, "loss 1.5\n")
        assert next(stream)["data"]["text"] == "loss 1.5\n"
        log.stage("sft", "done", output="town:v3")
        log.end("done")
        rest = list(stream)
    assert [one["event"] for one in rest] == ["stage", "end"]
    assert rest[-1]["data"]["state"] == "done"


def test_who_comes_back_misses_nothing_and_hears_nothing_twice(running: ControlProcess) -> None:
    log = begun(running.root)
    said(log, "one\n")
    path = f"/runs/{log.record.id}/events"
    with running.client() as client, client.stream("GET", path) as told:
        last = next(one for one in events(told) if one["event"] == "log")
    said(log, "two\n")
    log.stage("sft", "failed", error="out of memory")
    log.end("failed")
    known = {"last-event-id": last["id"]}
    with running.client(headers=known) as client, client.stream("GET", path) as told:
        texts = [one["data"]["text"] for one in events(told) if one["event"] == "log"]
    assert texts == ["two\n"]


def test_a_run_that_is_cancelled_before_it_begins_ends_the_stream(running: ControlProcess) -> None:
    run = running.post("/runs", {"target": "recipes/base.yaml"}).json()["id"]
    with running.client() as client, client.stream("GET", f"/runs/{run}/events") as told:
        running.post(f"/runs/{run}/stop")
        (end,) = events(told)
    assert (end["event"], end["data"]["state"]) == ("end", "cancelled")


def test_a_stream_of_no_run_is_a_problem(running: ControlProcess) -> None:
    assert running.get("/runs/20260101-000000-none/events").json()["code"] == "not_found"


@pytest.mark.slow
def test_a_run_goes_on_being_told_by_the_next_control(tmp_path: Path) -> None:
    make_project(tmp_path / "town")
    log = begun(tmp_path / "town")
    with control(tmp_path / "town", "--no-scheduler", "--no-ingest") as first:
        assert first.get("/runs/last").json()["state"] == "running"
        first.stop(9)
    with control(tmp_path / "town", "--no-scheduler", "--no-ingest") as second:
        assert second.get("/runs/last").json()["state"] == "running"
        log.end("done")
        until(lambda: second.get("/runs/last").json()["state"] == "done")
