"""A whole deployment under its supervisor: real processes, the real gateway, and the tests' own
program in the place of vLLM (vllm_wire.py). tests/engine/test_serving_swap.py has the real one."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from llmops.errors import BadInput, Failed
from llmops.gateway.routes import Routes, read_routes
from llmops.registry.manifest import VersionId
from llmops.serving import hold
from llmops.serving.endpoint import Endpoint
from llmops.serving.listen import claim_port
from llmops.serving.patience import Patience
from llmops.serving.servers import Servers
from llmops.serving.state import ServingState, read_state
from llmops.serving.supervisor import Supervisor
from llmops.serving.wanted import ask as wish
from llmops.spec.load import load_deployment
from llmops.spec.settings import load_settings
from llmops.store.liveness import process_mark
from llmops.store.paths import ProjectPaths
from tests.asked import ask
from tests.fast.served import add_adapter, deployment, register, wire_environment
from tests.gateway_traffic import Traffic, unlogged
from tests.supervised import serving
from tests.waiting import until

pytestmark = pytest.mark.slow

TOWN = """\
name: town
listen: {port: 0}
backend: {lora: {slots: 5}}
variants:
  control: {model: "town@production"}
  candidate: {model: "town@candidate"}
  next: {model: "town@next"}
"""
QUICK = Patience(hang=0.8, drain=5, linger=0.3, delay=0.1)
T = TypeVar("T")


class Town:
    """A project with town:v1 (full), v2 and v3 (adapters on it), other:v1 (full), and v4, an
    adapter that gives other figures than it was registered with."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = ProjectPaths(root)
        self.deployment = self.paths.deployment("town")
        self.registry = register(root)
        base = self.registry.get(VersionId("town", 1))
        add_adapter(self.registry, base, root / "made" / "third")
        add_adapter(self.registry, base, root / "made" / "fourth", fill=1)
        self.move("production", "town:v1")
        self.move("candidate", "town:v2")
        self.said: list[str] = []

    def move(self, alias: str, version: str) -> None:
        self.registry.alias_log.move(alias, VersionId.parse(version), why="a test", by="")

    @contextmanager
    def served(self, text: str = TOWN) -> Iterator[Supervisor]:
        with serving(
            load_deployment(deployment(self.root, text)),
            load_settings(self.root),
            report=self.said.append,
            environment=wire_environment(self.root),
            patience=QUICK,
        ) as server:
            yield server

    @property
    def routes(self) -> Routes:
        routes = read_routes(self.deployment.routes)
        assert routes is not None
        return routes

    @property
    def state(self) -> ServingState:
        state = read_state(self.deployment)
        assert state is not None
        return state

    def routed(self, variant: str, version: str) -> None:
        until(lambda: self.routes.variants[variant].version == version)

    def asked(self, server: Supervisor, model: str) -> str:
        """The version that answers; the gateway follows the table within a moment."""
        return ask(server.endpoint, model, ["Hello"])[0].model

    def answered(self, server: Supervisor, model: str, version: str) -> None:
        def answers() -> bool:
            try:
                return self.asked(server, model) == version
            except Failed:
                return False

        until(answers)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    root = tmp_path_factory.mktemp("served")
    (root / "llmops.toml").write_text("")
    return Town(root)


@pytest.fixture(scope="module")
def server(town: Town) -> Iterator[Supervisor]:
    with town.served() as server:
        yield server


@pytest.fixture(autouse=True)
def as_it_was(town: Town, request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test finds the aliases where they were, and traffic where they point."""
    yield
    town.move("production", "town:v1")
    town.move("candidate", "town:v2")
    if "server" in request.fixturenames:
        until(lambda: town.routes.variants["control"].version == "town:v1")
        until(lambda: town.routes.variants["candidate"].version == "town:v2")
        until(lambda: town.state.status == "ready")


def child_of(group: int) -> int:
    """The process that a guard watches."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,pgid="], capture_output=True, text=True, check=True
    )
    rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    return next(pid for pid, of in rows if of == group and pid != group)


def backend(town: Town) -> int:
    group = town.state.backends["town:v1"].pid
    assert group is not None
    return child_of(group)


def unavailable(server: Supervisor, model: str = "town") -> httpx.Response | None:
    """The answer, while it is a 503."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    with server.endpoint.client() as client:
        response = client.post("/v1/chat/completions", json=body)
    return response if response.status_code == 503 else None


def test_a_deployment_a_variant_and_a_version_can_be_asked(town: Town, server: Supervisor) -> None:
    assert town.asked(server, "candidate") == "town:v2"
    assert town.asked(server, "town:v1") == "town:v1"
    assert town.asked(server, "town") in ("town:v1", "town:v2")
    assert server.endpoint == town.state.endpoint
    assert not [line for line in town.said if "warning" in line and "next" not in line]


def test_an_alias_moves_and_moves_back_under_load_without_a_loss(
    town: Town, server: Supervisor
) -> None:
    traffic = Traffic(server.endpoint, "candidate")
    traffic.reach(50)
    town.move("candidate", "town:v3")
    traffic.first_of("town:v3")
    back = time.monotonic()
    town.move("candidate", "town:v2")
    traffic.first_of("town:v2", since=back + 0.5)
    outcomes = traffic.stop()
    assert not [outcome.error for outcome in outcomes if outcome.error]
    assert unlogged(outcomes, town.paths.journal) == []
    assert {outcome.version for outcome in outcomes} == {"town:v2", "town:v3"}


def test_the_old_version_stays_callable_after_a_swap(town: Town, server: Supervisor) -> None:
    town.move("candidate", "town:v3")
    town.routed("candidate", "town:v3")
    assert town.asked(server, "town:v2") == "town:v2"


def test_a_version_with_other_figures_is_never_routed(town: Town, server: Supervisor) -> None:
    town.move("candidate", "town:v4")
    told = until(lambda: town.state.problems.get("candidate"))
    assert "has no effect" in told
    assert town.routes.variants["candidate"].version == "town:v2"
    assert "town:v4" not in town.routes.versions
    assert [line for line in town.said if line.startswith("variant candidate stays on town:v2")]


def test_an_alias_that_appears_gives_its_variant_traffic(town: Town, server: Supervisor) -> None:
    assert town.state.waiting == {"next": "town@next"}
    assert "next" not in town.routes.variants
    town.move("next", "town:v3")
    until(lambda: "next" in town.routes.variants)
    town.answered(server, "next", "town:v3")


def test_versions_that_somebody_wants_are_loaded_and_get_no_traffic(
    town: Town, server: Supervisor
) -> None:
    file = town.root / "town.yaml"
    servers = Servers(load_settings(town.root))
    with servers.answering(file, ["town:v1", "town:v3"], lambda _: None) as found:
        one = found["town:v3"]
        assert ask(one.endpoint, one.model, ["Hello"])[0].model == "town:v3"
        assert (one.backend, found["town:v1"].model) == ("vllm 0.32.0", "town:v1")
    assert servers.reach(file, lambda _: None).endpoint == server.endpoint
    assert list(town.deployment.wanted.iterdir()) == []
    servers.close()


@pytest.mark.parametrize(
    ("version", "told"), [("town:v9", "no version town:v9"), ("town:v4", "has no effect")]
)
def test_whoever_wants_what_cannot_be_had_is_told(
    town: Town, server: Supervisor, version: str, told: str
) -> None:
    asked = wish(town.deployment, [version])
    assert told in str(until(asked.problem))
    asked.close()


def test_the_wishes_of_the_dead_are_dropped(town: Town, server: Supervisor) -> None:
    asked = wish(town.deployment, ["town:v3"])
    dead = subprocess.Popen(["true"])
    mark = process_mark(dead.pid)
    dead.wait()
    text = asked.file.read_text().replace(str(os.getpid()), str(dead.pid))
    other = asked.file.with_name("dead.json")
    other.write_text(text.replace(process_mark(os.getpid()), mark or "1"))
    until(lambda: not other.exists())
    asked.close()


def test_a_killed_backend_comes_back_with_its_versions(town: Town, server: Supervisor) -> None:
    town.move("candidate", "town:v3")
    town.routed("candidate", "town:v3")
    os.kill(backend(town), signal.SIGKILL)
    refused = until(lambda: unavailable(server))
    assert int(refused.headers["Retry-After"]) > 0
    until(lambda: town.state.restarts == 1 and town.state.status == "ready")
    until(lambda: not unavailable(server))
    assert town.asked(server, "candidate") == "town:v3"


def test_a_backend_that_hangs_is_started_again(town: Town, server: Supervisor) -> None:
    before = town.state.restarts
    os.kill(backend(town), signal.SIGSTOP)
    until(lambda: town.state.restarts > before and town.state.status == "ready")
    assert [line for line in town.said if "lives, but has not answered" in line]
    town.answered(server, "candidate", "town:v2")


def test_a_killed_gateway_is_back_at_its_port(town: Town, server: Supervisor) -> None:
    group = town.state.gateway_pid
    assert group is not None
    os.kill(child_of(group), signal.SIGKILL)
    until(lambda: town.state.gateway_pid != group)
    until(lambda: server.endpoint.listens())
    assert town.asked(server, "candidate") == "town:v2"


def test_the_device_is_given_back_while_somebody_holds_it(town: Town, server: Supervisor) -> None:
    assert "stops meanwhile" in hold.consequence("stop", town.paths)
    with hold.holding("stop", town.paths, lambda _: None, why="a training"):
        assert town.state.backends["town:v1"].pid is None
        assert until(lambda: unavailable(server)).headers["Retry-After"]
    with hold.holding("stop", town.paths, lambda _: None):
        assert town.state.backends["town:v1"].pid is None, "it was on its way back"
    until(lambda: town.state.status == "ready")
    town.answered(server, "candidate", "town:v2")


def test_the_hold_of_a_dead_process_ends(town: Town, server: Supervisor) -> None:
    town.deployment.hold.write_text('{"pid": 1, "mark": "none", "how": "stop"}')
    until(lambda: not town.deployment.hold.exists())
    assert town.state.status == "ready"


def test_another_base_gets_a_server_and_an_unneeded_one_is_stopped(
    town: Town, server: Supervisor
) -> None:
    asked = wish(town.deployment, ["other:v1"])
    until(lambda: "other:v1" in town.routes.versions)
    town.answered(server, "other:v1", "other:v1")
    assert town.asked(server, "candidate") == "town:v2"
    assert set(town.state.backends) == {"town:v1", "other:v1"}
    asked.close()
    until(lambda: set(town.state.backends) == {"town:v1"})
    assert [line for line in town.said if "nothing needs other:v1 any more" in line]
    until(lambda: not list(town.deployment.copies.glob("other-v1-*")))


SLEEPY = """\
name: sleepy
listen: {port: 0}
backend: {args: {enable_sleep_mode: true}}
variants:
  only: {model: "other:v1"}
"""


def test_a_server_on_a_gpu_sleeps_while_somebody_holds_the_device(town: Town) -> None:
    one_gpu = wire_environment(town.root, cpu=False)
    file = deployment(town.root, SLEEPY, "sleepy.yaml")
    with serving(
        load_deployment(file), load_settings(town.root), environment=one_gpu, patience=QUICK
    ) as server:
        paths = town.paths.deployment("sleepy")
        backend = server.backends["other:v1"].client()
        before = read_state(paths)
        assert before is not None
        held = hold.Held(pid=os.getpid(), mark=process_mark(os.getpid()), how="sleep")
        paths.hold.write_text(held.model_dump_json())
        until(lambda: getattr(read_state(paths), "status", "") == "held")
        assert backend.get("/is_sleeping").json() == {"is_sleeping": True}
        assert unavailable(server, "sleepy")
        paths.hold.unlink()
        until(lambda: not unavailable(server, "sleepy"))
        after = read_state(paths)
        backend.close()
    assert after is not None
    assert after.groups == before.groups


def test_a_stage_that_wants_it_to_sleep_is_refused_where_it_cannot(
    town: Town, server: Supervisor
) -> None:
    with pytest.raises(BadInput, match="vLLM can sleep on a GPU only"):
        hold.refuse("sleep", town.paths, stage="dpo", where="dpo.yaml:3")
    with pytest.raises(BadInput, match="does not run while deployment `town` is served"):
        hold.refuse("refuse", town.paths, stage="dpo", where="dpo.yaml:3")
    hold.refuse("stop", town.paths, stage="dpo", where="dpo.yaml:3")


def test_a_base_that_does_not_fit_is_refused_with_the_reason(town: Town) -> None:
    """On a GPU each server takes its share of the memory, which is not declared here."""
    one_gpu = wire_environment(town.root, cpu=False)
    text = TOWN.replace("name: town", "name: small").replace("town@production", "other:v1")
    told: list[str] = []
    with (
        pytest.raises(Failed, match="no server for town:v1: a vLLM server takes 92%"),
        serving(
            load_deployment(deployment(town.root, text, "small.yaml")),
            load_settings(town.root),
            report=told.append,
            environment=one_gpu,
            patience=QUICK,
        ),
    ):
        pytest.fail("it became ready")


OPENAI = """\
name: proxy
backend: {kind: openai, url: "URL/v1"}
listen: {port: 0}
variants:
  ours: {model: "town@production"}
  theirs: {upstream: "town:v2"}
"""


def test_a_server_that_exists_gets_a_gateway_that_follows_the_aliases(town: Town) -> None:
    program = wire_environment(town.root).python
    port = claim_port(0)
    modules = [f'{{"name": "town:v2", "path": "{town.paths.version("town", 2)}"}}']
    argv = [str(program), "--served-model-name", "town:v1", "--port", str(port)]
    exists = subprocess.Popen([*argv, "--lora-modules", *modules])
    until(Endpoint(f"http://127.0.0.1:{port}").listens)
    file = deployment(town.root, OPENAI.replace("URL", f"http://127.0.0.1:{port}"), "proxy.yaml")
    with serving(load_deployment(file), load_settings(town.root)) as proxy:
        assert ask(proxy.endpoint, "ours", ["Hello"])[0].model == "town:v1"
        assert ask(proxy.endpoint, "theirs", ["Hello"])[0].model == "town:v2"
        town.move("production", "town:v2")
        town.answered(proxy, "ours", "town:v2")
    exists.kill()
    exists.wait()
