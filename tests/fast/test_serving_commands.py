"""`llmops serve` and `llmops gateway` as a user starts them, in front of a server of the tests' own
(protocol_server.py); a deployment on vLLM is in tests/engine/test_serving_life.py."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmops.serving.endpoint import Endpoint
from llmops.serving.state import ServingState, read_state
from llmops.store.paths import ProjectPaths
from tests.asked import ask
from tests.conftest import Llmops
from tests.fast.protocol_server import Wire, serve_wire
from tests.fast.served import TOWN, deployment, register
from tests.processes import end_of, members

pytestmark = pytest.mark.slow

PROXY = """\
name: proxy
backend: {kind: openai, url: "URL"}
listen: {port: 0}
variants:
  only: {upstream: "town:v2"}
"""
WHOLE = {
    "id": "chatcmpl-1",
    "model": "town:v2",
    "choices": [{"index": 0, "message": {"content": "Alder"}, "finish_reason": "stop"}],
}


@pytest.fixture
def upstream() -> Iterator[Endpoint]:
    with serve_wire(Wire(WHOLE)) as endpoint:
        yield endpoint


@pytest.fixture
def proxy(project: Path, upstream: Endpoint) -> Path:
    return deployment(project, PROXY.replace("URL", upstream.url), "proxy.yaml")


@contextmanager
def started(*args: str, cwd: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The command in the background, and the address that it says once it is ready."""
    argv = [sys.executable, "-m", "llmops", *args]
    process = subprocess.Popen(
        argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip().rpartition(" ")[2]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def state(project: Path) -> ServingState | None:
    return read_state(ProjectPaths(project).deployment("proxy"))


def test_serving_in_front_of_a_server_that_exists_with_one_more_gateway(proxy: Path) -> None:
    with (
        started("serve", proxy.name, cwd=proxy.parent) as (first, url),
        started("gateway", proxy.name, "--port", "0", cwd=proxy.parent) as (second, other),
    ):
        now = state(proxy.parent)
        assert now is not None
        assert (now.status, now.url, now.own) == ("ready", url, False)
        assert other != url
        for one in (url, other):
            assert ask(Endpoint(one), "proxy", ["Hello"])[0].text == "Alder"
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
        assert second.wait(30) == 1, "a gateway that follows ends with its deployment"
    assert state(proxy.parent) is None
    assert [end_of(members(group)) for group in now.groups] == [[] for _ in now.groups]


def test_one_more_gateway_changes_nothing_of_the_first(llmops: Llmops, proxy: Path) -> None:
    with started("serve", proxy.name, cwd=proxy.parent) as (_, _):
        log = ProjectPaths(proxy.parent).deployment("proxy").gateway_log
        before = log.read_bytes()
        assert before
        with started("gateway", proxy.name, "--port", "0", cwd=proxy.parent):
            assert log.read_bytes() == before
        ignored = llmops("gateway", proxy.name, "feedback.log=async", "--port", "0")
        assert ignored.returncode == 2
        assert "feedback.log" in ignored.stderr


def test_killing_the_supervisor_leaves_no_gateway(proxy: Path) -> None:
    with started("gateway", proxy.name, cwd=proxy.parent) as (process, _):
        now = state(proxy.parent)
        assert now is not None
        assert now.gateway_pid is not None
        process.kill()
        process.wait()
        assert end_of(members(now.gateway_pid)) == []


def test_a_gateway_alone_needs_servers_that_exist(llmops: Llmops, project: Path) -> None:
    deployment(project, TOWN)
    done = llmops("gateway", "town.yaml")
    assert done.returncode == 2
    assert "llmops serve town.yaml" in done.stderr


def test_the_plan_of_a_deployment_starts_nothing(llmops: Llmops, proxy: Path) -> None:
    shown = json.loads(llmops("serve", proxy.name, "--plan", "--json").stdout)
    assert (
        shown["variants"][0] | {"variant": "only", "version": "town:v2", "share": 1.0}
        == (shown["variants"][0])
    )
    assert not (proxy.parent / ".llmops").exists()
    told = llmops("serve", proxy.name, "--plan").stdout
    assert "gateway at http://127.0.0.1:(free)" in told


def test_the_plan_says_what_waits_for_an_alias(llmops: Llmops, project: Path) -> None:
    register(project)
    text = PROXY.replace("URL", "http://127.0.0.1:1").replace(
        "variants:", 'variants:\n  new: {model: "town@new"}'
    )
    deployment(project, text, "proxy.yaml")
    told = llmops("serve", "proxy.yaml", "--plan")
    assert "waits for town@new" in told.stdout
    assert "it gets no traffic until then" in told.stderr
