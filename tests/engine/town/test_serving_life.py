"""The life of a served deployment on the real vLLM: refusal, crash, kill and stop.

Each starts servers of its own beside the session's; a start takes about 25 s on two idle cores.
"""

import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmops.errors import Failed
from llmops.registry.manifest import Draft, Manifest
from llmops.registry.store import Registry
from llmops.serving.state import ServingState, last_state
from llmops.spec.load import load_deployment
from llmops.spec.settings import load_settings
from llmops.store.paths import ProjectPaths
from tests.asked import ask
from tests.conftest import run_llmops
from tests.supervised import serving
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


def api_server(group: int) -> int:
    """The process that a backend's guard has started."""
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(group)], capture_output=True, text=True, check=True
    )
    return int(children.stdout.split()[0])


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


def is_ready(project: Path, name: str, restarts: int = 0) -> ServingState | None:
    now = state(project, name)
    good = now is not None and now.status == "ready" and now.restarts == restarts
    return now if good else None


def without_effect(source: Path, target: Path) -> Path:
    """A copy of an adapter whose B matrices are zero."""
    target.mkdir()
    (target / "adapter_config.json").write_bytes((source / "adapter_config.json").read_bytes())
    data = bytearray((source / "adapter_model.safetensors").read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    for name, tensor in json.loads(data[8 : 8 + length]).items():
        if "lora_B" in name:
            start, end = (8 + length + offset for offset in tensor["data_offsets"])
            data[start:end] = bytes(end - start)
    (target / "adapter_model.safetensors").write_bytes(data)
    return target


def test_an_adapter_without_effect_is_refused(town_project: Path, tmp_path: Path) -> None:
    """The manifest of a trained adapter over zeroed weights: it loads, answers, and is wrong."""
    paths = ProjectPaths(town_project)
    trained = adapter_of(town_project)
    source = without_effect(paths.version("town", trained.number), tmp_path / "zeroed")
    fields = {name: getattr(trained, name) for name in Draft.model_fields} | {"name": "zeroed"}
    version = Registry(paths).add(Draft(**fields), source)
    loaded = load_deployment(deployment(town_project, "zeroed", str(version.id)))
    with pytest.raises(Failed) as caught, serving(loaded, load_settings(town_project)):
        pytest.fail("it became ready")
    assert re.search(r"zeroed:v1 on town:v\d+ \(variant only\)", str(caught.value))
    assert "the adapter has no effect" in str(caught.value)
    assert state(town_project, "zeroed") is None


def test_a_crash_is_survived_and_a_stop_is_clean(town_project: Path) -> None:
    version = str(adapter_of(town_project).id)
    file = deployment(town_project, "crash", version)
    with serve(town_project, file) as process:
        first = await_(lambda: is_ready(town_project, "crash"), process)
        assert isinstance(first, ServingState)
        (backend,) = first.backends.values()
        assert backend.pid is not None
        os.kill(api_server(backend.pid), signal.SIGKILL)
        again = await_(lambda: is_ready(town_project, "crash", restarts=1), process)
        assert isinstance(again, ServingState)
        assert ask(again.endpoint, version, ["Hello"], max_tokens=2)[0].model == version
        left = group_of(town_project, "crash")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert left
    assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]
    assert state(town_project, "crash") is None
    assert not (town_project / ".llmops/serving/crash.sock").exists()


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
