"""Serving through the API: a supervisor of its own, which outlives the control process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmops.serving.state import read_state
from tests.fast.backend_server import BackendServer
from tests.fast.control_process import ControlProcess, control, make_project
from tests.processes import end_of
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def root(backend: BackendServer, tmp_path: Path) -> Iterator[Path]:
    """With a deployment in front of a backend that is there."""
    root = tmp_path / "town"
    make_project(root)
    text = f"name: away\nbackend: {{kind: openai, url: {backend.url!r}}}\nlisten: {{port: 0}}\n"
    text += "variants: {only: {upstream: town}}\n"
    (root / "serving" / "away.yaml").write_text(text, encoding="utf-8")
    yield root
    state = read_state(paths(root))
    if state is not None:  # a test failed before it stopped it
        import os

        os.kill(state.pid, 15)
        end_of([state.pid])


def paths(root: Path) -> Any:
    from llmops.store.paths import ProjectPaths

    return ProjectPaths(root).deployment("away")


def shown(process: ControlProcess) -> Any:
    return process.get("/deployments/away").json()


def test_a_deployment_goes_on_without_the_control_that_started_it(root: Path) -> None:
    with control(root, "--no-scheduler", "--no-ingest") as first:
        started = first.post("/deploy", {"deployment": "serving/away.yaml"})
        assert started.status_code == 202
        until(lambda: shown(first)["status"] == "ready", 60)
        assert first.post("/deploy", {"deployment": "serving/away.yaml"}).status_code == 409
    with control(root, "--no-scheduler", "--no-ingest") as second:
        found = shown(second)
        assert (found["running"], found["status"]) == (True, "ready")
        assert second.post("/deployments/away/stop").json()["state"] == "stopping"
        assert not end_of([started.json()["pid"]])
        assert shown(second)["running"] is False


def test_why_one_did_not_start_is_told(root: Path) -> None:
    with control(root, "--no-scheduler", "--no-ingest") as process:
        body = {"deployment": "serving/away.yaml", "overrides": ["listen.host=192.0.2.1"]}
        assert process.post("/deploy", body).status_code == 202
        until(lambda: shown(process)["status"] == "failed", 60)
        assert shown(process)["problems"]["start"]
