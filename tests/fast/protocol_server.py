"""A small HTTP server on loopback, owned by the test that starts it, which answers with the bytes
that the test gives it: the errors and broken streams that a real server shows once in a while.

It stands for the wire, not for vLLM; what vLLM itself answers is tested in tests/engine.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

from llmops.serving.endpoint import Endpoint


def event(**chunk: Any) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


def piece(text: str, finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return event(id="chatcmpl-1", model="town:v2", choices=[choice])


DONE = "data: [DONE]\n\n"


class Wire:
    """What to answer, and what was asked. promised: more bytes than are sent, to break off."""

    def __init__(self, body: str | dict[str, Any], status: int = 200, promised: int = 0) -> None:
        self.body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.status = status
        self.promised = promised
        self.asked: list[dict[str, Any]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._guard = threading.Lock()
        self.hold: threading.Barrier | None = None

    def handler(self) -> type[BaseHTTPRequestHandler]:
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                request = json.loads(self.rfile.read(length))
                wire.asked.append(request)
                with wire._guard:
                    wire._at_once += 1
                    wire.most_at_once = max(wire.most_at_once, wire._at_once)
                if wire.hold is not None:
                    wire.hold.wait(5)
                with wire._guard:
                    wire._at_once -= 1
                said = request.get("messages", [{"content": ""}])[-1]["content"]
                body = wire.body.replace(b"ECHO", said.encode())
                self.send_response(wire.status)
                self.send_header("Content-Length", str(len(body) + wire.promised))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "test"

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # the default of 5 resets connections that come at once


@contextmanager
def serve_wire(wire: Wire, uds: Path | None = None) -> Iterator[Endpoint]:
    """Answer on a free loopback port, or on a Unix socket."""
    server: Any
    if uds is None:
        server = Server(("127.0.0.1", 0), wire.handler())
        endpoint = Endpoint(f"http://127.0.0.1:{server.server_address[1]}")
    else:
        server = ThreadingUnixStreamServer(str(uds), wire.handler())
        endpoint = Endpoint("http://localhost", str(uds))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
