"""The life of a served deployment on the real vLLM: refusal, kill and stop.

Each starts servers of its own beside the session's; a start takes about 25 s on two idle cores.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmops.registry.manifest import Manifest
from llmops.registry.store import Registry
from llmops.serving.state import ServingState, last_state
from llmops.store.paths import ProjectPaths
from tests.asked import ask
from tests.conftest import run_llmops
from tests.waiting import until

pytestmark = pytest.mark.engine

LONGEST = 240.0


def adapter_of(project: Path) -> Manifest:
    registry = Registry(ProjectPaths(project))
    return next(v for v in reversed(registry.versions("town")) if v.kind == "adapter")


def deployment(project: Path, name: str, version: str) -> Path:
    file = project / f"{name}.yaml"
    file.write_text(
        f"name: {name}\n"
        f"backend: {{args: {{max_model_len: 128}}}}\n"
        f"listen: {{uds: .llmops/serving/{name}.sock}}\n"
        f"variants:\n  only: {{model: '{version}'}}\n"
    )
    return file


def group_of(project: Path, name: str) -> list[int]:
    """The living processes of the groups that this deployment's supervisor keeps."""
    state = last_state(ProjectPaths(project).deployment(name))
    if state is None:
        return []
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(p) for p, group, stat in rows if int(group) in state.groups and stat[0] != "Z"]


def vllm_runs(project: Path, name: str) -> bool:
    state = last_state(ProjectPaths(project).deployment(name))
    return state is not None and any(one.pid for one in state.backends.values())


def await_(what: Callable[[], object], process: "subprocess.Popen[bytes] | None" = None) -> object:
    return until(what, LONGEST, process)


@contextmanager
def serve(project: Path, file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`llmops serve` in the background, gone afterwards whatever happens."""
    with (project / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmops", "serve", str(file)],
            cwd=project,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def state(project: Path, name: str) -> ServingState | None:
    return last_state(ProjectPaths(project).deployment(name))


def is_ready(project: Path, name: str) -> ServingState | None:
    now = state(project, name)
    return now if now is not None and now.status == "ready" else None


def test_a_stop_is_clean(town_project: Path) -> None:
    version = str(adapter_of(town_project).id)
    file = deployment(town_project, "clean", version)
    with serve(town_project, file) as process:
        first = await_(lambda: is_ready(town_project, "clean"), process)
        assert isinstance(first, ServingState)
        assert ask(first.endpoint, version, ["Hello"], max_tokens=2)[0].model == version
        left = group_of(town_project, "clean")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert left
    assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]
    assert state(town_project, "clean") is None
    assert not (town_project / ".llmops/serving/clean.sock").exists()


def test_killing_the_supervisor_leaves_no_process(town_project: Path) -> None:
    file = deployment(town_project, "killed", str(adapter_of(town_project).id))
    with serve(town_project, file) as process:
        await_(lambda: vllm_runs(town_project, "killed"), process)
        process.kill()
        process.wait()
        await_(lambda: not group_of(town_project, "killed"))
    done = run_llmops("chat", file, "only", "Hello", cwd=town_project)
    assert done.returncode == 2
    assert "is not being served" in done.stderr


def test_stopping_before_it_is_ready_exits_130_and_leaves_nothing(town_project: Path) -> None:
    file = deployment(town_project, "early", str(adapter_of(town_project).id))
    with serve(town_project, file) as process:
        await_(lambda: vllm_runs(town_project, "early"), process)
        left = group_of(town_project, "early")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]
    assert state(town_project, "early") is None


def test_an_option_value_that_vllm_refuses_is_told_as_the_cause(town_project: Path) -> None:
    file = deployment(town_project, "wrong", str(adapter_of(town_project).id))
    done = run_llmops("serve", file, "backend.args.dtype=float7", cwd=town_project)
    assert done.returncode == 1
    assert "float7" in done.stderr.partition("the log ends with")[0]
    assert "backend.log" in done.stderr
