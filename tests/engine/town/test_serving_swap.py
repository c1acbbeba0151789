"""Traffic follows the aliases without a loss, on the real vLLM and the session's one server."""

import json
import os
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from llmops.gateway.routes import read_routes
from llmops.registry.manifest import Draft, VersionId
from llmops.registry.store import Registry
from llmops.serving import hold
from llmops.serving.endpoint import get
from llmops.serving.servers import Servers
from llmops.serving.state import ServingState, read_state
from llmops.serving.supervisor import Supervisor
from llmops.spec.settings import load_settings
from llmops.store.paths import ProjectPaths
from tests import waiting
from tests.asked import ask
from tests.gateway_traffic import Traffic, unlogged

pytestmark = pytest.mark.engine

LONGEST = 240.0
REQUESTS = 2000
T = TypeVar("T")


def until(what: Callable[[], T]) -> T:
    return waiting.until(what, LONGEST)


@pytest.fixture(scope="module")
def paths(town_project: Path) -> ProjectPaths:
    return ProjectPaths(town_project)


@pytest.fixture(scope="module")
def registry(paths: ProjectPaths) -> Registry:
    return Registry(paths)


@pytest.fixture(scope="module")
def newer(registry: Registry, paths: ProjectPaths) -> str:
    """A version with the weights of town:v2 under a name of its own."""
    before = registry.get(VersionId("town", 2))
    fields = {name: getattr(before, name) for name in Draft.model_fields}
    return str(registry.add(Draft(**fields), paths.version("town", 2)).id)


@pytest.fixture
def move(registry: Registry, paths: ProjectPaths) -> Iterator[Callable[[str], None]]:
    """Moves the candidate; afterwards it is town:v2 again, and traffic goes there."""

    def moved(version: str) -> None:
        registry.alias_log.move("candidate", VersionId.parse(version), why="a test", by="")

    yield moved
    moved("town:v2")
    until(lambda: routed(paths) == "town:v2")


def routed(paths: ProjectPaths) -> str:
    routes = read_routes(paths.deployment("town").routes)
    assert routes is not None
    return routes.variants["candidate"].version


def state(paths: ProjectPaths) -> ServingState:
    found = read_state(paths.deployment("town"))
    assert found is not None
    return found


def listed(server: Supervisor) -> set[str]:
    """What vLLM itself says that it has."""
    (backend,) = server.backends.values()
    with backend.client() as client:
        return {model["id"] for model in get(client, "/v1/models")["data"]}


def test_the_candidate_moves_and_moves_back_under_load_without_a_loss(
    town_server: Supervisor,
    paths: ProjectPaths,
    newer: str,
    move: Callable[[str], None],
) -> None:
    traffic = Traffic(town_server.endpoint, "candidate", clients=12)
    traffic.reach(REQUESTS // 4)
    move(newer)
    traffic.first_of(newer)
    traffic.reach(REQUESTS // 2)
    back = time.monotonic()
    move("town:v2")
    until(lambda: routed(paths) == "town:v2")
    traffic.first_of("town:v2", since=back + 1)
    traffic.reach(REQUESTS)
    outcomes = traffic.stop()
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert {outcome.version for outcome in outcomes} == {"town:v2", newer}
    assert unlogged(outcomes, paths.journal) == []
    assert {"town:v2", newer} <= listed(town_server), "nothing is unloaded at a swap"


def test_a_version_with_the_wrong_golden_prompts_is_never_routed(
    town_server: Supervisor,
    paths: ProjectPaths,
    registry: Registry,
    move: Callable[[str], None],
) -> None:
    """The manifest says what another version answers."""
    before = registry.get(VersionId("town", 2))
    fields = {name: getattr(before, name) for name in Draft.model_fields}
    wrong = [
        one.model_copy(update={"logprobs": [figure - 3 for figure in one.logprobs]})
        for one in registry.get(VersionId("town", 1)).golden
    ]
    version = registry.add(Draft(**fields | {"golden": wrong}), paths.version("town", 2))
    move(str(version.id))
    assert "does not match golden prompt" in until(lambda: state(paths).problems.get("candidate"))
    assert routed(paths) == "town:v2"
    assert str(version.id) not in listed(town_server)


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


def test_an_adapter_without_effect_is_never_routed(
    town_server: Supervisor,
    paths: ProjectPaths,
    registry: Registry,
    move: Callable[[str], None],
    tmp_path: Path,
) -> None:
    """The manifest of a trained adapter over zeroed weights: it loads, answers, and is wrong."""
    trained = registry.get(VersionId("town", 2))
    fields = {name: getattr(trained, name) for name in Draft.model_fields}
    source = without_effect(paths.version("town", 2), tmp_path / "zeroed")
    version = registry.add(Draft(**fields), source)
    move(str(version.id))
    named = f"{version.id} on town:v1"
    told = until(lambda: named in (said := state(paths).problems.get("candidate", "")) and said)
    assert "the adapter has no effect" in told
    assert routed(paths) == "town:v2"


def test_versions_that_a_run_wants_are_loaded_beside_the_traffic(
    town_server: Supervisor, paths: ProjectPaths, town_project: Path, newer: str
) -> None:
    servers = Servers(load_settings(town_project))
    file = town_project / "serving" / "town.yaml"
    with servers.answering(file, ["town:v1", newer], lambda _: None) as found:
        for version, one in found.items():
            assert ask(one.endpoint, one.model, ["Hello"], max_tokens=2)[0].model == version
    servers.close()
    assert set(state(paths).variants.values()) == {"town:v1", "town:v2"}


def refused(server: Supervisor) -> httpx.Response | None:
    body = {"model": "candidate", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    with server.endpoint.client() as client:
        response = client.post("/v1/chat/completions", json=body)
    return response if response.status_code == 503 else None


def engine_core(group: int) -> int:
    """The process that computes, of a backend's group."""
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,pgid=,rss="], capture_output=True, text=True, check=True
    )
    rows = [tuple(map(int, line.split())) for line in table.stdout.splitlines()]
    return max((rss, pid) for pid, of, rss in rows if of == group)[1]


def test_a_killed_vllm_comes_back_with_what_was_routed(
    town_server: Supervisor,
    paths: ProjectPaths,
    newer: str,
    move: Callable[[str], None],
) -> None:
    move(newer)
    until(lambda: routed(paths) == newer)
    before = state(paths)
    (backend,) = before.backends.values()
    assert backend.pid is not None
    os.kill(engine_core(backend.pid), signal.SIGKILL)
    assert int(until(lambda: refused(town_server)).headers["Retry-After"]) > 0
    until(lambda: state(paths).restarts > before.restarts and state(paths).status == "ready")
    until(lambda: not refused(town_server))
    assert ask(town_server.endpoint, "candidate", ["Hello"], max_tokens=2)[0].model == newer


def test_the_device_is_given_back_and_taken_again(
    town_server: Supervisor, paths: ProjectPaths
) -> None:
    with hold.holding("stop", paths, lambda _: None):
        assert [one.pid for one in state(paths).backends.values()] == [None]
        assert refused(town_server) is not None
    until(lambda: state(paths).status == "ready")
    until(lambda: not refused(town_server))


def test_another_base_is_served_by_a_second_vllm(
    town_server: Supervisor, town_project: Path, paths: ProjectPaths
) -> None:
    servers = Servers(load_settings(town_project))
    file = town_project / "serving" / "town.yaml"
    with servers.answering(file, ["town-base:v1"], lambda _: None) as found:
        one = found["town-base:v1"]
        assert ask(one.endpoint, one.model, ["Hello"], max_tokens=2)[0].model == "town-base:v1"
        assert set(state(paths).backends) == {"town:v1", "town-base:v1"}
    servers.close()
