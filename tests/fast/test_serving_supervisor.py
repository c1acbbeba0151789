import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.runner.process import Process, start, tail
from llmops.serving.listen import claim_port, claim_socket, holder
from llmops.serving.plan import ServingPlan, plan_serving
from llmops.serving.server import cause
from llmops.serving.state import ServingState, last_state, read_state, running, write_state
from llmops.serving.supervisor import Supervisor
from llmops.spec.load import load_deployment
from llmops.spec.settings import load_settings
from llmops.store.liveness import process_mark
from llmops.store.paths import ProjectPaths
from tests.fast.served import deployment, environment, planned, register
from tests.supervised import serving
from tests.waiting import until


def supervisor(plan: ServingPlan, root: Path) -> Supervisor:
    return Supervisor(plan, root, lambda _line: None)


def broken(root: Path, script: str) -> ServingPlan:
    """A plan whose interpreter is a real program that ends as a broken vLLM would."""
    python = root / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    registry = register(root)
    loaded = load_deployment(deployment(root), ["listen.port=0"])
    return plan_serving(loaded, registry, root, environment(root, str(python)))


def test_a_backend_that_ends_while_starting_fails_with_cause_tail_and_path(project: Path) -> None:
    lines = "echo loading; echo '(EngineCore pid=1) ValueError: no memory left'; exit 3"
    server = supervisor(broken(project, lines), project)
    with pytest.raises(Failed) as caught:
        server.start()
    server.stop()
    told = str(caught.value)
    assert "exit code 3: ValueError: no memory left" in told
    assert ".llmops/serving/town/backend.log" in told
    assert "loading" in told


def test_a_deployment_that_starts_tells_of_its_gateway_at_once(project: Path) -> None:
    paths = ProjectPaths(project).deployment("town")
    seen: list[ServingState | None] = []
    plan = broken(project, "exit 1")
    server = Supervisor(plan, project, lambda _line: seen.append(read_state(paths)))
    with pytest.raises(Failed):
        server.start()
    server.stop()
    assert seen
    assert seen[0] is not None
    assert (seen[0].status, seen[0].gateway_pid is None) == ("starting", False)


def test_a_failed_start_leaves_no_state_and_no_lock(project: Path) -> None:
    server = supervisor(broken(project, "exit 1"), project)
    with pytest.raises(Failed):
        server.start()
    server.stop()
    assert last_state(server.paths) is None
    again = supervisor(server.plan, project)
    with pytest.raises(Failed):
        again.start()
    again.stop()


def test_a_second_supervisor_is_refused(project: Path) -> None:
    register(project)
    first, second = (supervisor(planned(project), project) for _ in range(2))
    first._acquire()
    with pytest.raises(BadInput, match="`town` is being served already"):
        second.start()
    second.stop()
    first.stop()


def test_a_port_in_use_is_refused_before_anything_is_copied(project: Path) -> None:
    register(project)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = supervisor(planned(project, f"listen.port={port}"), project)
        with pytest.raises(BadInput, match=f"port {port} is in use by process {os.getpid()}"):
            server.start()
    server.stop()
    assert not server.paths.copies.exists()


def test_port_0_is_any_free_one() -> None:
    port = claim_port(0)
    assert port > 0
    assert holder(port) == ""


def test_a_stale_socket_makes_way_and_one_in_use_does_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(BadInput, match="is in use"):
            claim_socket(path)
    claim_socket(path)
    assert not path.exists()


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="longer than 107 bytes"):
        claim_socket(tmp_path / ("x" * 120))


def backend(root: Path, code: str) -> Process:
    return start([sys.executable, "-c", code], env={"TOLD": "yes"}, log=root / "log", cwd=root)


def test_stopping_a_backend_ends_all_that_it_started(tmp_path: Path) -> None:
    child = "import subprocess, sys; p = subprocess.Popen(['sleep', '600'], start_new_session=True)"
    running = backend(tmp_path, f"{child}; print(p.pid, flush=True); p.wait()")
    until(lambda: tail(tmp_path / "log"))
    running.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(int(tail(tmp_path / "log")), 0)


def test_a_backend_has_its_environment_and_its_log(tmp_path: Path) -> None:
    running = backend(tmp_path, "import os; print(os.environ['TOLD']); raise SystemExit(7)")
    assert running.wait(10) == 7
    running.stop()
    assert tail(tmp_path / "log") == "yes"


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("(Worker pid=2) ERROR 1-2 [a.py:3] OSError: gone", "OSError: gone"),
        ("api_server.py: error: unrecognized arguments: --x", "unrecognized arguments: --x"),
        ("ValueError: a\nRuntimeError: Engine core initialization failed. See", "ValueError: a"),
        ("all is well", ""),
    ],
)
def test_the_cause_is_the_error_that_a_log_ends_in(tmp_path: Path, log: str, told: str) -> None:
    (tmp_path / "log").write_text(log)
    assert cause(tmp_path / "log") == told


OPENAI = """\
name: town
backend: {kind: openai, url: "http://127.0.0.1:1/v1"}
listen: {port: 0}
variants:
  ours: {model: "town@best"}
"""


@pytest.mark.slow
def test_a_full_disk_ends_no_deployment_and_is_told_once(project: Path, small_disk: Path) -> None:
    registry = register(project)
    registry.move("town", "best", 1, why="")
    paths = ProjectPaths(project)
    paths.serving.mkdir(parents=True)
    paths.deployment("town").root.symlink_to(small_disk)
    said: list[str] = []
    loaded = load_deployment(deployment(project, OPENAI))
    with serving(loaded, load_settings(project), report=said.append) as server:
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 1024):
                pass
        registry.move("town", "best", 2, why="")
        until(lambda: [line for line in said if "no space left" in line])
        assert server.variants == {"ours": "town:v1"}
        filler.unlink()
        until(lambda: [line for line in said if line.startswith("ours: town:v1 -> town:v2")])
    assert len([line for line in said if "no space left" in line]) == 1


def state(pid: int, **changes: object) -> ServingState:
    return ServingState(
        name="town",
        status="ready",
        pid=pid,
        process_started=process_mark(os.getpid()),
        url="http://127.0.0.1:1",
        base="town:v1",
        variants={"before": "town:v1", "after": "town:v2"},
        started="2026-01-01T00:00:00+00:00",
    ).model_copy(update=changes)


def test_the_state_of_a_living_supervisor_is_found(project: Path) -> None:
    paths = ProjectPaths(project)
    write_state(paths.deployment("town"), state(os.getpid()))
    assert [one.name for one in running(paths.serving)] == ["town"]


def test_a_pid_that_was_given_away_is_not_the_supervisor(project: Path) -> None:
    paths = ProjectPaths(project).deployment("town")
    write_state(paths, state(os.getpid(), process_started="1"))
    assert read_state(paths) is None


def test_the_state_of_a_dead_supervisor_is_not(project: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    paths = ProjectPaths(project).deployment("town")
    write_state(paths, state(ended.pid))
    assert read_state(paths) is None
    assert last_state(paths) is not None
