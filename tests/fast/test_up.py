"""`llmops up` as a user starts it: the control process and a deployment for real, in front of a
server of the tests' own (protocol_server.py); with vLLM it is in benchmarks/up.py."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.runner.record import list_runs
from llmops.serving.endpoint import Endpoint
from llmops.store.paths import ProjectPaths
from llmops.up.record import UpRecord, last_up, read_up
from tests.asked import ask
from tests.conftest import run_llmops
from tests.fast.models_on_disk import write_full
from tests.fast.protocol_server import Wire, serve_wire
from tests.waiting import until

pytestmark = pytest.mark.slow

SECONDS = 60.0
WHOLE = {
    "id": "chatcmpl-1",
    "model": "town:v1",
    "choices": [{"index": 0, "message": {"content": "Alder"}, "finish_reason": "stop"}],
}
DEPLOYMENT = """\
name: town
backend: {kind: openai, url: "URL"}
listen: {uds: gateway.sock}
variants:
  control: {model: "town@production"}
"""
PIPELINE = """\
name: first
stages:
  offer: {promote: "town:v1", to: production}
"""


class Up:
    """`llmops up` of a project, in the background."""

    def __init__(self, project: Path, *args: str) -> None:
        argv = [sys.executable, "-m", "llmops", "up", *args, "--control-port", "0"]
        argv += ["--without", "ui", "--without", "tensorboard"]
        self.project = project
        self.said = project / "said.txt"
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(argv, cwd=project, stderr=said)

    @property
    def record(self) -> UpRecord:
        found = read_up(ProjectPaths(self.project))
        assert found is not None, self.said.read_text()
        return found

    def part(self, name: str) -> Any:
        return next(part for part in self.record.parts if part.name == name)

    def is_up(self) -> bool:
        return read_up(ProjectPaths(self.project)) is not None

    def await_state(self, name: str, state: str) -> None:
        def there() -> bool:
            assert self.process.poll() is None, self.said.read_text()
            return self.is_up() and self.part(name).state == state

        self.until(there)

    def until(self, done: Callable[[], object]) -> None:
        try:
            until(done, SECONDS)
        except AssertionError as error:
            raise AssertionError(self.said.read_text()) from error

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@pytest.fixture
def town(project: Path) -> Iterator[Path]:
    """A project with town:v1, which no alias names, a deployment of town@production, and a
    pipeline that moves the alias."""
    registry = Registry(ProjectPaths(project))
    registry.add(Draft(name="town", kind="full", stage="sft"), write_full(project / "made"))
    for folder in ("serving", "pipelines"):
        (project / folder).mkdir()
    (project / "pipelines" / "first.yaml").write_text(PIPELINE, encoding="utf-8")
    with serve_wire(Wire(WHOLE)) as upstream:
        text = DEPLOYMENT.replace("URL", upstream.url)
        (project / "serving" / "town.yaml").write_text(text, encoding="utf-8")
        yield project


@contextmanager
def up(project: Path, *args: str) -> Iterator[Up]:
    found = Up(project, *args)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.stop(signal.SIGTERM)


def promote(project: Path) -> None:
    Registry(ProjectPaths(project)).move("town", "production", 1, why="test")


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_deployment_waits_for_its_first_version_and_the_pipeline_makes_it(town: Path) -> None:
    with up(town, "pipelines/first.yaml", "serving/town.yaml") as running:
        running.await_state("serve", "ready")
        endpoint = Endpoint("http://localhost", str(town / "gateway.sock"))
        assert ask(endpoint, "town", ["Hello"])[0].text == "Alder"
    (run,) = list_runs(ProjectPaths(town))
    assert (run.state, run.file) == ("done", "pipelines/first.yaml")


def test_a_pipeline_that_cannot_be_run_is_told(town: Path) -> None:
    text = "name: first\nstages:\n  sft: {recipe: recipes/none.yaml}\n"
    (town / "pipelines" / "first.yaml").write_text(text, encoding="utf-8")
    with up(town, "pipelines/first.yaml", "serving/town.yaml") as running:
        running.until(lambda: "cannot be run: pipelines/first" in running.said.read_text())
        assert running.part("serve").state == "waiting"


def test_without_a_pipeline_the_deployment_waits(town: Path) -> None:
    with up(town) as running:
        running.await_state("control", "ready")
        assert running.part("serve").state == "waiting"
        promote(town)
        running.await_state("serve", "ready")
    assert list_runs(ProjectPaths(town)) == []


def test_a_gateway_at_any_free_port_is_told_by_that(town: Path) -> None:
    promote(town)
    file = town / "serving" / "town.yaml"
    file.write_text(file.read_text().replace("{uds: gateway.sock}", "{port: 0}"), encoding="utf-8")
    with up(town) as running:
        running.await_state("serve", "ready")
        told = running.part("serve").url
        assert ask(Endpoint(told), "town", ["Hello"])[0].text == "Alder"
        assert f"serve is ready at {told}\n" in running.said.read_text()


def test_ctrl_c_ends_everything_in_order(town: Path) -> None:
    promote(town)
    with up(town) as running:
        running.await_state("serve", "ready")
        running.await_state("control", "ready")
        groups = running.record.groups
        assert running.stop() == 0
    assert len(groups) == 2
    assert not any(alive(group) for group in groups)
    assert last_up(ProjectPaths(town)) is None


def test_a_ui_that_is_told_to_end_has_ended_in_order(project: Path) -> None:
    """So `up` does not start it again, and nobody finds it in its file."""
    file = ProjectPaths(project).part("ui")
    process = subprocess.Popen([sys.executable, "-m", "llmops", "ui", "--port", "0"], cwd=project)
    until(file.exists, SECONDS, process)
    process.terminate()
    assert process.wait(SECONDS) == 0
    assert not file.exists()


def test_control_that_is_killed_is_started_again_and_serving_goes_on(town: Path) -> None:
    promote(town)
    with up(town) as running:
        running.await_state("serve", "ready")
        running.await_state("control", "ready")
        serve, control = running.part("serve").pid, running.part("control").pid
        os.killpg(control, signal.SIGKILL)
        running.until(lambda: running.part("control").restarts == 1)
        running.await_state("control", "ready")
        assert running.part("serve").pid == serve
        assert running.part("control").url == running.record.url


def test_after_kill_9_its_parts_end_and_it_can_be_started_again(town: Path) -> None:
    promote(town)
    with up(town) as killed:
        killed.await_state("serve", "ready")
        killed.await_state("control", "ready")
        groups = killed.record.groups
        killed.process.kill()
        killed.process.wait()
    with up(town) as running:
        running.await_state("serve", "ready")
        running.await_state("control", "ready")
        assert not any(alive(group) for group in groups)
        assert all(part.ours for part in running.record.parts)


def test_status_and_down_from_another_terminal(town: Path) -> None:
    promote(town)
    with up(town) as running:
        running.await_state("serve", "ready")
        second = run_llmops("up", cwd=town)
        assert second.returncode == 2
        assert "this project is up already" in second.stderr
        told = json.loads(run_llmops("status", "--json", cwd=town).stdout)
        assert [part["name"] for part in told["parts"]] == ["serve", "control"]
        assert told["deployments"][0]["variants"] == {"control": "town:v1"}
        assert run_llmops("down", cwd=town).returncode == 0
        assert running.process.wait(SECONDS) == 0
    told = json.loads(run_llmops("status", "--json", cwd=town).stdout)
    assert (told["up"], told["parts"], told["deployments"]) == (None, [], [])


def test_what_cannot_be_written_ends_nothing(town: Path) -> None:
    """As on a full disk: it is told once, and again what runs is known once it can be written."""
    promote(town)
    parts = ProjectPaths(town).part("up").parent
    with up(town) as running:
        running.await_state("serve", "ready")
        running.await_state("control", "ready")
        pid = running.part("control").pid
        parts.rename(town / "away")
        parts.write_text("no directory")
        os.killpg(pid, signal.SIGTERM)
        running.until(lambda: "warning: " in running.said.read_text())
        parts.unlink()
        (town / "away").rename(parts)
        running.until(lambda: running.part("control").pid != pid)
        assert running.part("serve").state == "ready"


def ready(paths: ProjectPaths) -> UpRecord | None:
    """Once all of its parts are: one that is just starting may take its grace to end."""
    found = read_up(paths)
    return found if found and all(one.state == "ready" for one in found.parts) else None


def test_a_terminal_that_is_closed_ends_everything_in_order(town: Path) -> None:
    promote(town)
    ours, theirs = os.openpty()
    argv = [sys.executable, "-m", "llmops", "up", "--control-port", "0", "--without", "ui"]
    with os.fdopen(theirs) as terminal:
        process = subprocess.Popen(
            [*argv, "--without", "tensorboard"], cwd=town, stderr=terminal, start_new_session=True
        )
    try:
        read = until(lambda: ready(ProjectPaths(town)), SECONDS, process)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert last_up(ProjectPaths(town)) is None
    assert not any(alive(group) for group in read.groups)


def test_several_deployments_are_listed(town: Path) -> None:
    text = DEPLOYMENT.replace("name: town", "name: other").replace("URL", "http://127.0.0.1:1")
    (town / "serving" / "other.yaml").write_text(text, encoding="utf-8")
    done = run_llmops("up", cwd=town)
    assert done.returncode == 2
    assert "serving/other.yaml\n  serving/town.yaml" in done.stderr


def test_a_file_that_is_neither_is_refused(town: Path) -> None:
    (town / "recipe.yaml").write_text("kind: train\n", encoding="utf-8")
    done = run_llmops("up", "recipe.yaml", cwd=town)
    assert done.returncode == 2
    assert "a pipeline has `stages`, a deployment `variants`" in done.stderr
