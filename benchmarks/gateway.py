"""What the gateway adds, before a backend that answers at once (`gateway_upstream.py`).

    python benchmarks/gateway.py [--seconds 5] [--rounds 5] [--memory MINUTES] [--litellm PYTHON]

Direct, through the gateway (`log: required`), and through LiteLLM's proxy, in turn in each round;
the disk's own fdatasync is timed in the same rounds. Each side is a process of its own, the load
too. LiteLLM runs in an environment of its own, with its logging off; without one it is left out:

    python -m venv E && E/bin/pip install 'litellm[proxy]'        then --litellm E/bin/python
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmops.gateway.routes import RoutedVariant, Routes, Target, Upstream, write_routes  # noqa: E402
from llmops.store.paths import ProjectPaths  # noqa: E402

RECORD = b"x" * 900 + b"\n"
RATE = 1000
CONNECTIONS = 32
STREAMS = 1000


@dataclass
class Side:
    """One way to the backend. figures: by name, one for each round."""

    url: str
    model: str
    process: "subprocess.Popen[str] | None" = None
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return statistics.median(self.figures[name])


@contextmanager
def process(argv: list[str], **env: str) -> Iterator["subprocess.Popen[str]"]:
    """A server, and its first line read."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    started = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=given)
    assert started.stdout is not None
    with started, started.stdout:
        try:
            yield started
        finally:
            started.terminate()


def line(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    return server.stdout.readline().strip()


def load(side: Side, *args: object) -> dict[str, Any]:
    script = str(ROOT / "benchmarks" / "gateway_load.py")
    argv = [sys.executable, script, side.url, side.model, *map(str, args)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@contextmanager
def gateway(root: Path, backend: str) -> Iterator[Side]:
    routes = Routes(
        deployment="town",
        generation=1,
        written="2026-01-01T00:00:00+00:00",
        backends={"only": Upstream(url=backend)},
        versions={f"town:v{n}": Target(backend="only", model=f"town:v{n}") for n in (1, 2)},
        variants={
            "control": RoutedVariant(version="town:v1", weight=90),
            "candidate": RoutedVariant(version="town:v2", weight=10),
        },
        unit=["user", "session", "conversation"],
        salt="salt",
        log="required",
        window=3600.0,
    )
    write_routes(ProjectPaths(root).deployment("town").routes, routes)
    argv = [sys.executable, "-m", "llmops.gateway", "--root", str(root), "--deployment", "town"]
    with process(argv) as server:
        yield Side(line(server).rpartition(" at ")[2], "town", server)


@contextmanager
def litellm(python: str, root: Path, backend: str) -> Iterator[Side]:
    """LiteLLM's proxy with one worker, as its docs start it, with nothing logged."""
    config = root / "litellm.yaml"
    parameters = {"model": "openai/town:v1", "api_base": f"{backend}/v1", "api_key": "sk-1"}
    settings = {"set_verbose": False, "turn_off_message_logging": True, "telemetry": False}
    models = [{"model_name": "town", "litellm_params": parameters}]
    config.write_text(json.dumps({"model_list": models, "litellm_settings": settings}))
    port = free_port()
    argv = [str(Path(python).with_name("litellm")), "--config", str(config)]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    keyless = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    with process(argv, LITELLM_LOG="ERROR", **keyless) as server:
        threading.Thread(target=_swallow, args=(server,), daemon=True).start()
        side = Side(f"http://127.0.0.1:{port}", "town", server)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise SystemExit("LiteLLM's proxy did not start")
            if not load(side, "closed", 1, 0.2)["failed"]:
                break
        yield side


def _swallow(server: "subprocess.Popen[str]") -> None:
    assert server.stdout is not None
    try:
        while server.stdout.readline():
            continue
    except ValueError:
        return


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def disk(folder: Path, seconds: float) -> list[float]:
    """How long it takes to have a record on disk, RATE times a second at most."""
    times = []
    handle = os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    end = time.perf_counter() + seconds
    try:
        while (began := time.perf_counter()) < end:
            os.write(handle, RECORD)
            os.fdatasync(handle)
            times.append(time.perf_counter() - began)
            time.sleep(max(0.0, 1 / RATE - times[-1]))
    finally:
        os.close(handle)
    return times


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def round_of(sides: dict[str, Side], folder: Path, seconds: float) -> None:
    probe = disk(folder, seconds / 2)
    for name, side in sides.items():
        if name == "disk":
            side.add("p50", quantile(probe, 0.5))
            side.add("p99", quantile(probe, 0.99))
            continue
        alone = load(side, "closed", 1, seconds / 2)["times"]
        side.add("one", quantile(alone, 0.5))
        full = load(side, "closed", CONNECTIONS, seconds)
        side.add("per second", len(full["times"]) / full["wall"])
        side.add("failed", full["failed"])
        side.add("first", quantile(load(side, "streams", 1, seconds / 2)["first"], 0.5))
        if name != "litellm":
            paced = load(side, "rate", RATE, seconds)
            side.add("p50", quantile(paced["times"], 0.5))
            side.add("p99", quantile(paced["times"], 0.99))
            side.add("failed", paced["failed"])


def crowd(side: Side) -> str:
    """STREAMS at once, each about two seconds long."""
    told = load(side, "streams", STREAMS, 0, 0.4)
    last = max(told["times"])
    return f"{STREAMS - told['failed']} of {STREAMS} whole, the last after {last:.1f} s"


def memory(side: Side, minutes: float) -> str:
    """Resident memory while half of what it can carry goes through."""
    assert side.process is not None
    watched = psutil.Process(side.process.pid)
    seen = [watched.memory_info().rss / 1e6]
    asked = 0
    for _ in range(max(1, round(minutes * 6))):
        asked += len(load(side, "rate", RATE // 2, 9.5)["times"])
        seen.append(watched.memory_info().rss / 1e6)
    shown = f"{seen[0]:.0f} MB at first, {seen[1]:.0f} MB after 10 s, {seen[-1]:.0f} MB at the end"
    return f"{shown}, at most {max(seen):.0f} MB; {asked} requests in {minutes:g} minutes"


def row(what: str, value: str) -> None:
    print(f"| {what} | {value} |", flush=True)


def report(sides: dict[str, Side], rounds: int) -> None:
    direct, ours, bare = sides["direct"], sides["gateway"], sides["disk"]
    load_now = os.getloadavg()[0]
    print(f"\nThe gateway, medians of {rounds} rounds, load average {load_now:.1f}\n")
    print("| what | value |\n| --- | --- |")
    for name in ("p50", "p99"):
        added = ours.median(name) - direct.median(name)
        beyond = added - bare.median(name)
        row(
            f"added at {RATE} requests/s, {name}",
            f"{added * 1e3:.2f} ms, of which fdatasync {bare.median(name) * 1e3:.2f} ms, "
            f"beyond it {beyond * 1e3:.2f} ms",
        )
    for name, side in sides.items():
        if name != "disk":
            row(f"{name}: one connection, p50", f"{side.median('one') * 1e3:.2f} ms")
            row(f"{name}: {CONNECTIONS} connections", f"{side.median('per second'):.0f} requests/s")
            row(f"{name}: first token, p50", f"{side.median('first') * 1e3:.2f} ms")
            row(f"{name}: failed", f"{sum(side.figures['failed']):.0f}")
    added_first = ours.median("first") - direct.median("first")
    row("added to the first token, p50", f"{added_first * 1e3:.2f} ms")
    if "litellm" in sides:
        times = ours.median("per second") / sides["litellm"].median("per second")
        row("throughput against LiteLLM's proxy", f"{times:.1f} times")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=float, default=1.0, metavar="MINUTES")
    parser.add_argument(
        "--litellm",
        default=os.environ.get("LITELLM_PYTHON"),
        metavar="PYTHON",
        help="of an environment that has it",
    )
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(
            process([sys.executable, str(ROOT / "benchmarks" / "gateway_upstream.py")])
        )
        backend = f"http://127.0.0.1:{line(upstream)}"
        sides = {"disk": Side("", ""), "direct": Side(backend, "town:v1")}
        sides["gateway"] = stack.enter_context(gateway(folder, backend))
        if given.litellm:
            sides["litellm"] = stack.enter_context(litellm(given.litellm, folder, backend))
        for number in range(given.rounds):
            round_of(sides, folder, given.seconds)
            print(f"  round {number + 1}/{given.rounds}", flush=True)
        report(sides, given.rounds)
        row(f"{STREAMS} streams at once", crowd(sides["gateway"]))
        row("resident memory", memory(sides["gateway"], given.memory))


if __name__ == "__main__":
    main()
