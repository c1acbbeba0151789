"""From `llmops up` to the first answer on the real vLLM, beside the same vLLM started alone.

A project of its own gets a tiny model. One side is `llmops up` with all its parts, until its
gateway answers a chat; the other is vLLM by the very command line and environment that `up` gave
it, until it answers the same. Both begin with warm file caches. Each is told in three times: until
vLLM's process is there, until that listens, until it has answered; and by the CPU time that vLLM
took, which other work on the machine does not stretch as it does the clock.

The first and the third are llmops' own whole (copies before; checks and gateway after, of which
vLLM's own first answer is a part); of the second, what `up` takes longer than vLLM alone.
"""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmops.serving.endpoint import Endpoint  # noqa: E402
from llmops.serving.state import read_state  # noqa: E402
from llmops.store.paths import ProjectPaths  # noqa: E402
from tests.processes import end_of, members  # noqa: E402

SECONDS = 600.0
VERSION = "town:v1"
DEPLOYMENT = f"""\
name: town
backend: {{lora: {{slots: 4, max_rank: 16}}, args: {{max_model_len: 512}}}}
listen: {{uds: gateway.sock}}
variants:
  control: {{model: "{VERSION}"}}
"""


@dataclass(frozen=True)
class Start:
    """Seconds since the command was given: until vLLM's process began, until it listened, until
    the first answer; cpu: that vLLM took until then."""

    begun: float
    listens: float
    answered: float
    cpu: float


class UpBench:
    """project: a directory; made by `prepare` unless it holds town:v1 already."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.paths = ProjectPaths(project)
        self._argv: list[str] = []
        self._env: dict[str, str] = {}

    def prepare(self) -> None:
        """The model, and one start of each side, which nobody counts."""
        if not self.paths.version("town", 1).exists():
            self._llmops("init", str(self.project), cwd=self.project.parent)
            self._llmops("run", "recipes/base.yaml")
            few = ("args.max_steps=40", "args.warmup_steps=0", "args.logging_steps=1")
            self._llmops("run", "recipes/sft.yaml", "base=town-base:v1", *few)
        (self.project / "serving" / "town.yaml").write_text(DEPLOYMENT, encoding="utf-8")
        self.up()
        self.alone()

    def up(self) -> Start:
        """Until its gateway answers."""
        argv = [sys.executable, "-m", "llmops", "up", "serving/town.yaml"]
        argv += [f"--{part}-port=0" for part in ("control", "ui", "tensorboard")]
        gateway = Endpoint("http://localhost", str(self.project / "gateway.sock"))
        with self._started(argv, "up.log", None) as process:
            return self._watched(process, gateway, "town")

    def alone(self) -> Start:
        """Until vLLM answers, without llmops."""
        socket = self.paths.deployment("town").backend_socket(1)
        socket.unlink(missing_ok=True)
        with self._started(self._argv, "alone.log", self._env) as process:
            return self._watched(process, Endpoint("http://localhost", str(socket)), VERSION)

    @contextlib.contextmanager
    def _started(
        self, argv: list[str], log: str, env: dict[str, str] | None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """In a session of its own, ended in order after the block."""
        with (self.project / log).open("ab") as said:
            process = subprocess.Popen(
                argv, cwd=self.project, env=env, stdout=said, stderr=said, start_new_session=True
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)
            end_of(members(process.pid))

    def _watched(self, process: "subprocess.Popen[bytes]", asked: Endpoint, model: str) -> Start:
        """How the start of vLLM goes, on the way to the first answer of `asked`."""
        began = time.clock_gettime(time.CLOCK_BOOTTIME)
        place = self.paths.deployment("town").backend_socket(1)
        vllm, begun, listens = 0, 0.0, 0.0
        body = {
            "model": model,
            "max_tokens": 4,
            "messages": [{"role": "user", "content": "Which?"}],
        }
        with asked.client(timeout=60) as client:
            while (now := time.clock_gettime(time.CLOCK_BOOTTIME) - began) < SECONDS:
                if process.poll() is not None:
                    raise SystemExit(f"{process.args!r} ended with {process.returncode}")
                if not vllm:
                    vllm = self._vllm(process)
                    begun = _began(vllm) - began if vllm else 0.0
                elif not listens and Endpoint("http://localhost", str(place)).listens():
                    listens = now
                elif listens and client.post("/v1/chat/completions", json=body).is_success:
                    answered = time.clock_gettime(time.CLOCK_BOOTTIME) - began
                    return Start(begun, listens, answered, _cpu(vllm))
                time.sleep(0.02)
        raise SystemExit("no answer")

    def _vllm(self, process: "subprocess.Popen[bytes]") -> int:
        """vLLM's process, once it is there; its command line and environment are kept."""
        state = read_state(self.paths.deployment("town"))
        backends = state.backends.values() if state is not None else ()
        groups = [process.pid, *(b.pid for b in backends if b.pid is not None)]
        for pid in (pid for group in groups for pid in members(group)):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
                if b"--served-model-name" in command and b"--" not in command:
                    lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")[:-1]
                    self._argv = [part.decode() for part in command]
                    self._env = dict(line.decode().split("=", 1) for line in lines)
                    return pid
        return 0

    def _llmops(self, *args: str, cwd: Path | None = None) -> None:
        argv = [sys.executable, "-m", "llmops", *args]
        done = subprocess.run(argv, cwd=cwd or self.project, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}\n{done.stderr}")


def measure(project: Path, rounds: int) -> tuple[list[Start], list[Start]]:
    """vLLM alone, and `up`: in turns, each as often first."""
    bench = UpBench(project)
    bench.prepare()
    found: dict[str, list[Start]] = {"alone": [], "up": []}
    for number in range(rounds):
        for name in ("alone", "up") if number % 2 else ("up", "alone"):
            found[name].append(bench.up() if name == "up" else bench.alone())
            shown = ", ".join(f"{value:.1f}" for value in astuple(found[name][-1]))
            print(f"  round {number + 1}/{rounds} {name}: {shown}", flush=True)
    return found["alone"], found["up"]


ROWS = {
    "begun": "vLLM's process is there",
    "listens": "it listens",
    "answered": "the first answer",
    "cpu": "CPU time of vLLM until then",
}


def medians(starts: list[Start]) -> Start:
    return Start(*(statistics.median(column) for column in zip(*map(astuple, starts), strict=True)))


def difference(alone: list[Start], up: list[Start]) -> Start:
    """Median of the rounds' differences: what `up` takes longer."""
    pairs = [zip(astuple(a), astuple(u), strict=True) for a, u in zip(alone, up, strict=True)]
    return medians([Start(*(mine - theirs for theirs, mine in pair)) for pair in pairs])


def _fields(pid: int) -> list[str]:
    """Of /proc/PID/stat, from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _began(pid: int) -> float:
    """On the clock that began with the machine."""
    return int(_fields(pid)[19]) / os.sysconf("SC_CLK_TCK")


def _cpu(pid: int) -> float:
    """Seconds, with the children that have ended."""
    return sum(map(int, _fields(pid)[11:15])) / os.sysconf("SC_CLK_TCK")
