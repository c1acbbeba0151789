"""From `llmops up` to the first answer on the real vLLM, beside the same vLLM started alone.

A project of its own gets a tiny model. One side is `llmops up` with all its parts, until its
gateway answers a chat; the other is vLLM by the very command line and environment that `up` gave
it, until it answers the same. The difference is llmops' own: start, copies, checks, and what
control, UI and TensorBoard take of the machine meanwhile. Both begin with warm file caches.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmops.serving.endpoint import Endpoint  # noqa: E402
from llmops.serving.state import ServingState, read_state  # noqa: E402
from llmops.store.paths import ProjectPaths  # noqa: E402
from tests.processes import end_of, members  # noqa: E402

SECONDS = 600.0
DEPLOYMENT = """\
name: town
backend: {lora: {slots: 4, max_rank: 16}, args: {max_model_len: 512}}
listen: {uds: gateway.sock}
variants:
  control: {model: "town:v1"}
"""


class UpBench:
    """project: a directory; made by `prepare` unless it holds town:v1 already."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.paths = ProjectPaths(project)
        self._argv: list[str] = []
        self._env: dict[str, str] = {}

    def prepare(self) -> None:
        """The model, and one `up` whose vLLM both sides use."""
        if not self.paths.version("town", 1).exists():
            self._llmops("init", str(self.project), cwd=self.project.parent)
            self._llmops("run", "recipes/base.yaml")
            few = ("args.max_steps=40", "args.warmup_steps=0", "args.logging_steps=1")
            self._llmops("run", "recipes/sft.yaml", "base=town-base:v1", *few)
        (self.project / "serving" / "town.yaml").write_text(DEPLOYMENT, encoding="utf-8")
        self.up()

    def up(self) -> float:
        """Seconds until its gateway answers."""
        argv = [sys.executable, "-m", "llmops", "up", "serving/town.yaml"]
        argv += [f"--{part}-port=0" for part in ("control", "ui", "tensorboard")]
        began = time.perf_counter()
        with (self.project / "up.log").open("ab") as log:
            process = subprocess.Popen(argv, cwd=self.project, stderr=log, stdout=log)
        try:
            endpoint = Endpoint("http://localhost", str(self.project / "gateway.sock"))
            took = _first_answer(endpoint, process, began)
            self._remember()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)
        return took

    def alone(self) -> float:
        """Seconds until vLLM answers, without llmops."""
        socket = self.paths.deployment("town").backend_socket(1)
        socket.unlink(missing_ok=True)
        began = time.perf_counter()
        with (self.project / "alone.log").open("ab") as log:
            process = subprocess.Popen(
                self._argv,
                cwd=self.project,
                env=self._env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            return _first_answer(Endpoint("http://localhost", str(socket)), process, began)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(SECONDS)
            end_of(members(process.pid))

    def _remember(self) -> None:
        """vLLM's command line and environment, as the supervisor gave them."""
        state = read_state(self.paths.deployment("town"))
        assert isinstance(state, ServingState)
        (backend,) = state.backends.values()
        assert backend.pid is not None
        for pid in members(backend.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
            if b"--model" in command and b"--" not in command:
                self._argv = [part.decode() for part in command]
                lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")[:-1]
                self._env = dict(line.decode().split("=", 1) for line in lines)
                return
        raise SystemExit("vLLM's process was not found")

    def _llmops(self, *args: str, cwd: Path | None = None) -> None:
        argv = [sys.executable, "-m", "llmops", *args]
        done = subprocess.run(argv, cwd=cwd or self.project, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}\n{done.stderr}")


def _first_answer(endpoint: Endpoint, process: "subprocess.Popen[bytes]", began: float) -> float:
    """Ask again and again; seconds since `began` until a whole answer came."""
    import httpx

    asked = {"messages": [{"role": "user", "content": "Which river flows past Abbern?"}]}
    while time.perf_counter() - began < SECONDS:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        if Path(str(endpoint.uds)).exists():
            try:
                with endpoint.client(timeout=60) as client:
                    body = {**asked, "model": _model(client), "max_tokens": 4}
                    if client.post("/v1/chat/completions", json=body).status_code == 200:
                        return time.perf_counter() - began
            except (httpx.TransportError, LookupError):
                pass
        time.sleep(0.05)
    raise SystemExit("no answer")


def _model(client: object) -> str:
    """Any that answers there. Raises LookupError while there is none."""
    import httpx

    assert isinstance(client, httpx.Client)
    listed = client.get("/v1/models")
    found = listed.json().get("data", []) if listed.status_code == 200 else []
    return str(found[0]["id"])
