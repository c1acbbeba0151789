"""The control process: where it is found, that there is one, and how it ends."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.control.presence import present, refuse_a_second
from llmops.control.server import Options, needs_keys, run
from llmops.errors import BadInput
from llmops.feedback.keys import create_key
from llmops.spec.settings import Settings
from llmops.store.listening import bound
from llmops.store.paths import ProjectPaths
from tests.fast.control_process import ControlProcess, control, controlled, make_project


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    with controlled(tmp_path_factory) as process:
        yield process


def test_it_says_where_it_is(running: ControlProcess) -> None:
    found = json.loads(running.paths.part("control").read_text("utf-8"))
    assert (found["pid"], found["url"]) == (running.process.pid, running.url)


def test_it_lives_and_is_ready(running: ControlProcess) -> None:
    assert running.get("/healthz").json() == {"status": "ok"}
    assert running.get("/readyz").json()["database"] is True


def test_a_second_is_refused_and_told_where_the_first_one_answers(running: ControlProcess) -> None:
    with pytest.raises(BadInput, match=re.escape(running.url)):
        refuse_a_second(running.paths, chosen=False)


@pytest.mark.slow
def test_a_second_at_a_port_of_its_own_says_so(running: ControlProcess) -> None:
    with control(running.root, "--no-scheduler", "--no-ingest") as second:
        assert second.url != running.url
        found = present(running.paths)
        assert found is not None
        assert found["url"] == running.url
    assert present(running.paths) == found


def test_an_answer_is_sent_at_once() -> None:
    """asyncio tells TCP not to wait (40 ms of each answer) only where the protocol is said."""
    with bound("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_at_an_address_that_others_reach_it_asks_for_keys(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="need an API key"):
        needs_keys(Options("0.0.0.0"), ProjectPaths(tmp_path))


def test_a_key_that_may_only_chat_is_no_such_key(tmp_path: Path) -> None:
    create_key(ProjectPaths(tmp_path), "app", ["chat"])
    with pytest.raises(BadInput, match="need an API key"):
        needs_keys(Options("0.0.0.0"), ProjectPaths(tmp_path))
    create_key(ProjectPaths(tmp_path), "team", ["run"])
    assert needs_keys(Options("0.0.0.0"), ProjectPaths(tmp_path))


def test_its_threads_are_told_in_its_figures(running: ControlProcess) -> None:
    text = running.get("/metrics").text
    assert 'llmops_control_thread_up{thread="scheduler"} 1' in text
    assert 'llmops_control_thread_up{thread="ingest"} 1' in text


@pytest.mark.slow
def test_it_ends_in_order_though_somebody_listens(tmp_path: Path) -> None:
    make_project(tmp_path / "town")
    with control(tmp_path / "town", "--no-scheduler") as process:
        queued = process.post("/runs", {"target": "recipes/base.yaml"}).json()["id"]
        with process.client() as client, client.stream("GET", f"/runs/{queued}/events") as stream:
            assert stream.status_code == 200
            process.process.send_signal(signal.SIGTERM)
            list(stream.iter_bytes())  # raises when it is cut off
        assert process.process.wait(30) == 0
        assert not process.paths.part("control").exists()


@pytest.mark.slow
def test_a_kill_leaves_no_one_who_would_be_taken_for_it(tmp_path: Path) -> None:
    make_project(tmp_path / "town")
    with control(tmp_path / "town", "--no-scheduler", "--no-ingest") as process:
        process.stop(signal.SIGKILL)
        assert process.paths.part("control").exists()
        assert present(process.paths) is None


def test_a_port_that_is_taken_is_said(
    running: ControlProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    port = int(running.url.rpartition(":")[2])
    with pytest.raises(BadInput, match="cannot be listened at"):
        run(Settings(root=tmp_path, cache=tmp_path), Options(port=port), print)
