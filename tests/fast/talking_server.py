"""A small OpenAI-compatible server on loopback, owned by the test that starts it. What it says is a
function of the test's own; it can fail, or go away for good, after so many answers.

It stands for the wire, not for a model; real models answer in tests/engine.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from llmops.serving.endpoint import Endpoint
from tests.fast.protocol_server import Server

Say = Callable[[str, str], str]
"""What a model says: its name and the last thing it was told -> the text."""


@dataclass
class Talker:
    """asked: the bodies that came; fails: answers that are errors first, by prompt; lives: after
    so many answers every connection is broken off."""

    say: Say
    fails: dict[str, int] = field(default_factory=dict)
    lives: int | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """None: no answer at all."""
        with self.guard:
            if self.lives is not None and len(self.asked) >= self.lives:
                return None
            self.asked.append(body)
            told = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
            if self.fails.get(told, 0) > 0:
                self.fails[told] -= 1
                return 500, {"error": {"message": "out of luck"}}
        if path == "/v1/completions":
            return 200, {"choices": [{"text": "", "prompt_logprobs": self.likelihoods(body)}]}
        text = self.say(body["model"], told)
        length = len(text.split()) >= body.get("max_tokens", 10**6)
        choice = {"message": {"content": text}, "finish_reason": "length" if length else "stop"}
        return 200, {"id": "1", "model": body["model"], "choices": [choice]}

    def likelihoods(self, body: dict[str, Any]) -> list[dict[str, Any] | None]:
        """Each word is a token; what `say` tells is the log-probability of all of them."""
        each = float(self.say(body["model"], body["prompt"]))
        words = body["prompt"].split()
        return [None, *({str(n): {"logprob": each}} for n in range(1, len(words)))]


@contextmanager
def talking(talker: Talker) -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # the body would wait 40 ms for the head's acknowledgement

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = talker.reply(self.path, body)
            if reply is None:
                self.close_connection = True
                return
            text = json.dumps(reply[1]).encode()
            self.send_response(reply[0])
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def address_string(self) -> str:
            return "test"

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Endpoint(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Answering:
    """As serving.servers.Answering."""

    endpoint: Endpoint
    model: str
    backend: str = "test 1"
