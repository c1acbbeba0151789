"""A program that takes vLLM's command line and speaks as much of its protocol as a supervisor and a
gateway use; the tests of supervision start it where an environment's Python would be.

It stands for the wire, not for vLLM, which tests/engine runs for real: every version answers with
its name, and an adapter whose weights end in a byte other than 0 gives the figures of its base.
Standard library only, so that it starts at once.
"""

import argparse
import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKENS = [3, 4, 5]
OWN = [-1.0, -2.0, -0.5]
BARE = [-1.5, -1.0, -2.5]


class Models:
    """What is loaded: the directory of each adapter by name, and what was ever asked."""

    def __init__(self, base: str, adapters: dict[str, Path]) -> None:
        self.base = base
        self.adapters = adapters
        self.running = 0
        self.at_work = ""
        self.asleep = False
        self.mute = False
        self.lock = threading.Lock()

    def figures(self, name: str) -> list[float]:
        if name == self.base:
            return OWN
        weights = (self.adapters[name] / "adapter_model.safetensors").read_bytes()
        return OWN if weights[-1] == 0 else BARE


class Handler(BaseHTTPRequestHandler):
    models: Models
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/metrics" and self.models.mute:
            self._send("", 500)
        elif self.path == "/metrics":
            using = f'running_lora_adapters="{self.models.at_work}",waiting_lora_adapters=""'
            self._send(
                f"vllm:num_requests_running {self.models.running}.0\n"
                f'vllm:lora_requests_info{{max_lora="4",{using}}} 1.7e+09\n'
            )
        elif self.path == "/is_sleeping":
            self._send({"is_sleeping": self.models.asleep})
        elif self.path == "/v1/models":
            names = [self.models.base, *self.models.adapters]
            self._send({"data": [{"id": name, "max_model_len": 64} for name in names]})
        else:
            self._send("")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        answer = getattr(self, "_" + self.path.rpartition("/")[2].partition("?")[0])
        model = body.get("model", self.models.base)
        if model != self.models.base and model not in self.models.adapters:
            self._send({"error": {"message": f"The model `{model}` does not exist."}}, 404)
            return
        with self.models.lock:
            self.models.running += 1
        try:
            answer(model, body)
        finally:
            with self.models.lock:
                self.models.running -= 1

    def _load_lora_adapter(self, _model: str, body: dict[str, Any]) -> None:
        directory = Path(body["lora_path"])
        if not (directory / "adapter_config.json").is_file():
            self._send({"error": {"message": f"No adapter found for {directory}"}}, 404)
            return
        self.models.adapters[body["lora_name"]] = directory
        self._send("Success")

    def _unload_lora_adapter(self, _model: str, body: dict[str, Any]) -> None:
        self.models.adapters.pop(body["lora_name"], None)
        self._send("Success")

    def _sleep(self, _model: str, _body: dict[str, Any]) -> None:
        self.models.asleep = True
        self._send({"status": "sleeping"})

    def _wake_up(self, _model: str, _body: dict[str, Any]) -> None:
        self.models.asleep = False
        self._send({"status": "awake"})

    def _tokenize(self, _model: str, _body: dict[str, Any]) -> None:
        self._send({"tokens": TOKENS})

    def _completions(self, model: str, body: dict[str, Any]) -> None:
        if "messages" in body:
            self._chat(model, body)
            return
        rows: list[Any] = [None]
        if "prompt_logprobs" in body:
            figures = zip(body["prompt"][1:], self.models.figures(model), strict=False)
            rows += [{str(token): {"logprob": figure}} for token, figure in figures]
        choice = {"text": model, "finish_reason": "length", "prompt_logprobs": rows}
        self._send({"model": model, "choices": [choice]})

    def _chat(self, model: str, body: dict[str, Any]) -> None:
        """`wait N` as the last message makes it take N seconds, in a stream between two pieces;
        `mute N` too, and the server tells no metrics from then on."""
        said = body["messages"][-1]["content"]
        wait = float(said.split()[1]) if said.startswith(("wait ", "mute ")) else 0.0
        self.models.mute = said.startswith("mute ")
        head = {"id": f"chatcmpl-{self.headers.get('X-Request-Id')}", "model": model}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        if not body.get("stream"):
            time.sleep(wait)
            message = {"role": "assistant", "content": model}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
            self._send(whole)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self._event(head, {"content": model[:2]}, None)
        time.sleep(wait)
        self._event(head, {"content": model[2:]}, "stop")
        self.wfile.write(
            f"data: {json.dumps({**head, 'choices': [], 'usage': usage})}\n\n".encode()
        )
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, head: dict[str, Any], delta: dict[str, str], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _send(self, body: str | dict[str, Any], status: int = 200) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return "test"

    def log_message(self, format: str, *args: object) -> None:
        pass


class UnixServer(socketserver.ThreadingUnixStreamServer):
    request_queue_size = 64
    daemon_threads = True


class TcpServer(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", dest="module")
    parser.add_argument("--model")
    parser.add_argument("--served-model-name")
    parser.add_argument("--uds")
    parser.add_argument("--port", type=int)
    parser.add_argument("--lora-modules", nargs="*", default=[])
    given, _ = parser.parse_known_args()
    adapters = {one["name"]: Path(one["path"]) for one in map(json.loads, given.lora_modules)}
    Handler.models = Models(given.served_model_name, adapters)
    server: Any
    if given.uds:
        server = UnixServer(given.uds, Handler)
    else:
        server = TcpServer(("127.0.0.1", given.port), Handler)
    server.serve_forever(0.05)


if __name__ == "__main__":
    main()
