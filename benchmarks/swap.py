"""Swaps under load on the real vLLM, and what the gateway costs its throughput.

A project of its own gets a tiny model and an adapter; each round registers the adapter anew, moves
the candidate to it while clients ask through the gateway, and moves it back. Then as many clients
ask vLLM directly and through the gateway, in turns.

    python benchmarks/swap.py load ENDPOINT MODEL CONNECTIONS SECONDS     one side, one line of JSON
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmops.registry.manifest import Draft, VersionId  # noqa: E402
from llmops.registry.store import Registry  # noqa: E402
from llmops.serving.endpoint import Endpoint  # noqa: E402
from llmops.serving.supervisor import Supervisor  # noqa: E402
from llmops.spec.load import load_deployment  # noqa: E402
from llmops.spec.settings import load_settings  # noqa: E402
from llmops.store.paths import ProjectPaths  # noqa: E402
from tests.gateway_traffic import Traffic, unlogged  # noqa: E402
from tests.supervised import serving  # noqa: E402

FEW = ("args.warmup_steps=0", "args.logging_steps=1")
CLIENTS = 12
EACH = 400
"""Requests before and after each move."""
CONNECTIONS = 32
SECONDS = 5.0
"""Of one side's turn: short turns meet the same noise."""


@dataclass(frozen=True)
class Swapped:
    """One round. promotion, rollback: seconds from the move of the alias to the first whole answer
    of the version; failed, unlogged: of `requests`."""

    promotion: float
    rollback: float
    requests: int
    failed: int
    unlogged: int


class Swap:
    """project: a directory; made by `prepare` unless it holds town:v1 and town:v2 already."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.paths = ProjectPaths(project)
        self.registry = Registry(self.paths)

    def prepare(self) -> None:
        if self.registry.names():
            return
        self._llmops("init", str(self.project), cwd=self.project.parent)
        self._llmops("run", "recipes/base.yaml")
        self._llmops("run", "recipes/sft.yaml", "base=town-base:v1", "args.max_steps=40", *FEW)
        self._llmops("run", "recipes/dpo.yaml", "base=town:v1", "args.max_steps=6", *FEW)

    @contextmanager
    def served(self) -> Iterator[Supervisor]:
        self._move("production", "town:v1")
        self._move("candidate", "town:v2")
        loaded = load_deployment(self.project / "serving" / "town.yaml", ["listen.port=0"])
        with serving(loaded, load_settings(self.project)) as server:
            yield server

    def round(self, server: Supervisor) -> Swapped:
        """A promotion to a version that was never loaded, and the way back."""
        newer = self._newer()
        traffic = Traffic(server.endpoint, "candidate", clients=CLIENTS)
        traffic.reach(EACH)
        moved = time.monotonic()
        self._move("candidate", newer)
        promotion = traffic.first_of(newer).at - moved
        traffic.reach(len(traffic.outcomes) + EACH)
        moved = time.monotonic()
        self._move("candidate", "town:v2")
        rollback = traffic.first_of("town:v2", since=moved).at - moved
        traffic.reach(len(traffic.outcomes) + EACH)
        outcomes = traffic.stop()
        return Swapped(
            promotion,
            rollback,
            len(outcomes),
            sum(bool(outcome.error) for outcome in outcomes),
            len(unlogged(outcomes, self.paths.journal)),
        )

    def _newer(self) -> str:
        """The adapter's weights under the name of a version of its own."""
        before = self.registry.get(VersionId("town", 2))
        fields = {name: getattr(before, name) for name in Draft.model_fields}
        return str(self.registry.add(Draft(**fields), self.paths.version("town", 2)).id)

    def _move(self, alias: str, version: str) -> None:
        self.registry.alias_log.move(alias, VersionId.parse(version), why="benchmark", by="")

    def _llmops(self, *args: str, cwd: Path | None = None) -> None:
        argv = [sys.executable, "-m", "llmops", *args]
        done = subprocess.run(argv, cwd=cwd or self.project, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}\n{done.stderr}")


def throughput(endpoint: Endpoint, model: str) -> float:
    """Answers a second at CONNECTIONS, asked by a process of its own."""
    argv = [sys.executable, __file__, "load", str(endpoint), model, str(CONNECTIONS), str(SECONDS)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    if told["failed"]:
        raise SystemExit(f"{told['failed']} of {told['answers']} requests to {endpoint} failed")
    return float(told["answers"] / told["seconds"])


def load(endpoint: str, model: str, connections: int, seconds: float) -> None:
    """Keep so many connections busy for so long; prints the figures."""
    from benchmarks.gateway_load import Load
    from llmops.gateway.backend import Backend
    from llmops.gateway.connection import Waits
    from llmops.gateway.routes import Upstream

    made = Load("http://localhost", model)
    uds = endpoint.removeprefix("unix:") if endpoint.startswith("unix:") else None
    upstream = Upstream(url="http://localhost" if uds else endpoint, uds=uds)
    made.backend = Backend(upstream, Waits(connect=30.0, first=60.0, between=60.0))
    began = time.perf_counter()
    asyncio.run(made.closed(connections, seconds))
    took = time.perf_counter() - began
    print(json.dumps({"answers": len(made.times), "failed": made.failed, "seconds": took}))


def swap_rows(rounds: Sequence[Swapped]) -> list[tuple[str, str, str]]:
    """What `rounds` came to, for a table."""

    def row(name: str, values: list[float]) -> tuple[str, str, str]:
        return name, f"{statistics.median(values):.2f} s", f"{min(values):.2f} to {max(values):.2f}"

    total = sum(one.requests for one in rounds)
    failed = sum(one.failed for one in rounds)
    lost = sum(one.unlogged for one in rounds)
    return [
        row("promotion of a version that is not loaded", [one.promotion for one in rounds]),
        row("rollback", [one.rollback for one in rounds]),
        (f"failed, unlogged of {total:,} requests", f"{failed}, {lost}", ""),
    ]


if __name__ == "__main__":
    if len(sys.argv) == 6 and sys.argv[1] == "load":
        load(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
    else:
        sys.exit(__doc__)
