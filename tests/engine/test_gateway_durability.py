"""What the gateway says is on disk is on disk: seen in its system calls, and after kill -9."""

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fast.backend_server import BackendServer
from tests.fast.gateway_process import GatewayProcess, gateway, routes
from tests.waiting import until

pytestmark = pytest.mark.engine
PATH = "/v1/chat/completions"
HELLO: dict[str, Any] = {"model": "town", "messages": [{"role": "user", "content": "Hello"}]}
_ID = re.compile(r"chatcmpl-([0-9a-v]{40})")
_RECORD = re.compile(r'\\"id\\":\\"([^\\]+)\\"')
_EVENTS = re.compile(r'\\"object\\":\\"feedback\\",\\"ids\\":\[\\"([^\\]+)\\"')


@pytest.fixture
def backend() -> Iterator[BackendServer]:
    with BackendServer().running() as server:
        yield server


class Client(threading.Thread):
    """Asks, streams and rates until it is cut off. told: the ids of all that it was told."""

    def __init__(self, running: GatewayProcess, most: int = 10**9) -> None:
        super().__init__()
        self.told: list[str] = []
        self._most = most
        self._http = running.client()

    def run(self) -> None:
        try:
            with self._http as http:
                while len(self.told) < self._most:
                    self._once(http)
        except httpx.TransportError:
            pass

    def _once(self, http: httpx.Client) -> None:
        whole = http.post(PATH, json=HELLO).raise_for_status().json()["id"]
        self.told.append(whole.removeprefix("chatcmpl-"))
        streamed = http.post(PATH, json=HELLO | {"stream": True})
        assert streamed.text.endswith("data: [DONE]\n\n")
        self.told.append(streamed.headers["x-request-id"])
        event = {"kind": "thumbs", "inference_id": whole, "value": "up"}
        self.told.extend(http.post("/v1/feedback", json=event).raise_for_status().json()["ids"])


def test_kill_9_under_load_loses_nothing_acknowledged(
    backend: BackendServer, tmp_path: Path
) -> None:
    with gateway(tmp_path, routes(backend.url)) as running:
        clients = [Client(running) for _ in range(8)]
        for client in clients:
            client.start()
        until(lambda: sum(len(client.told) for client in clients) > 600, 60)
        assert running.stop(signal.SIGKILL) == -signal.SIGKILL
        for client in clients:
            client.join()
        told = {inference for client in clients for inference in client.told}
        kept = {record["id"] for record in whole_lines(running)}
        assert told <= kept


def whole_lines(running: GatewayProcess) -> list[dict[str, Any]]:
    """What is on disk, without a line that the kill tore."""
    for file in running.paths.journal.glob("*/*.jsonl"):
        whole = file.read_bytes().rpartition(b"\n")
        file.write_bytes(whole[0] + whole[1])
    return running.records()


def test_every_acknowledgement_follows_the_fdatasync_of_its_record(
    backend: BackendServer, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    with gateway(tmp_path, routes(backend.url)) as running:
        calls = "trace=write,writev,pwrite64,sendto,sendmsg,fdatasync,fsync"
        argv = ["strace", "-f", "-y", "-s", "4096", "-e", calls, "-o", str(trace)]
        strace = subprocess.Popen([*argv, "-p", str(running.process.pid)], stderr=subprocess.PIPE)
        assert strace.stderr is not None
        with strace, strace.stderr:
            assert b"attached" in strace.stderr.readline()
            clients = [Client(running, most=30) for _ in range(4)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            strace.send_signal(signal.SIGINT)
            strace.wait(20)
    told = {inference for client in clients for inference in client.told}
    assert told <= acknowledged_in_order(trace.read_text())


def acknowledged_in_order(trace: str) -> set[str]:
    """The ids of all that was told after it was on disk. Fails at one that was told before."""
    written: set[str] = set()
    durable: set[str] = set()
    told: set[str] = set()
    for line in trace.splitlines():
        if ".jsonl>" in line and "sync" not in line:
            written.update(_RECORD.findall(line))
        elif "sync" in line and line.endswith("= 0"):
            durable |= written  # both calls are the writer thread's, one after the other
            written.clear()
        elif "<socket:" in line or "<TCP:" in line:
            ids = set(_EVENTS.findall(line))
            if "finish_reason" in line and '\\"stop\\"' in line and "POST /v1" not in line:
                ids.update(_ID.findall(line))
            assert ids <= durable, f"told before it was on disk: {line[:300]}"
            told |= ids
    return told
