"""The tests' Hub over HTTP: one process' threads, memory, loopback (tests/hub/__init__.py).

    with hub_running() as hub:
        repo = hub.repo("org/small", files={"config.json": b"{}"})
        hub.fault("GET", "config.json", status=503)

A test's process speaks to it with `hub.environ` set. There is no xet here, as on a mirror.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.faults import Fault, Faults
from tests.hub.protocol import Answer, Asked, answer
from tests.hub.repos import Refused, Repo

TOKEN = "hf_testsWriteToken0123456789"
READER = "hf_testsReadToken0123456789"


class Hub(Faults):
    """part: bytes of a part of a large upload; None where each is sent whole."""

    def __init__(self) -> None:
        super().__init__()
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.users = {TOKEN: "town", READER: "reader"}
        self.part: int | None = None
        self.guard = threading.RLock()
        self.url = ""

    @property
    def environ(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.url, "HF_TOKEN": TOKEN}

    def repo(
        self, id: str, kind: str = "model", *, files: dict[str, bytes] | None = None, **more: Any
    ) -> Repo:
        """A repository, made as it is told or as it stands."""
        key = f"{kind}s/{id}"
        if key not in self.repos:
            self.repos[key] = Repo(id, kind, **more)
            self.repos[key].commit({})
        if files:
            self.repos[key].add(files)
        return self.repos[key]

    def fault(self, method: str, path: str, **what: Any) -> Fault:
        return self.add(Fault(method, path, **what))


@contextmanager
def hub_running() -> Iterator[Hub]:
    hub = Hub()

    class Handler(_Handler):
        served = hub

    server = _Server(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a client keeps its connection open
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body at once, or each waits for an acknowledgement
    disable_nagle_algorithm = True
    served: Hub

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        hub, url = self.served, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = hub.take(self.command, self.path, dict(self.headers))
        if fault and fault.until:
            fault.until.wait(30)
        if fault and fault.status:
            self._send(Answer(fault.status, fault.body, dict(fault.headers)), None)
            return
        if fault and fault.cut is not None and not fault.after and self.command in ("PUT", "POST"):
            self.close_connection = True
            return
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        query = parse_qs(url.query)
        asked = Asked(self.command, unquote(url.path), query, body, token, dict(self.headers))
        try:
            with hub.guard:
                made = answer(hub, asked)
        except Refused as error:
            text = json.dumps({"error": error.text}).encode()
            named = {"X-Error-Code": error.code, "X-Error-Message": error.text}
            made = Answer(error.status, text, {k: v for k, v in named.items() if v})
        self._send(made, fault)

    def _send(self, made: Answer, fault: Fault | None) -> None:
        body = made.body
        if fault and fault.flip:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(made.status)
        for name, value in made.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        sent = body[: fault.cut] if fault and fault.cut is not None else body
        self.wfile.write(sent)
        if made.blob:
            self.served.sent[made.blob] += len(sent)
        self.close_connection = self.close_connection or len(sent) < len(body)
