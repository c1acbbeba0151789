"""A real gateway process on loopback, with a routing table that the test writes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from llmops.gateway.routes import RoutedVariant, Routes, Target, Upstream, write_routes
from llmops.store.paths import ProjectPaths
from tests.waiting import until

VARIANTS = {"control": ("town:v1", 90.0), "candidate": ("town:v2", 10.0)}


def routes(url: str, **changes: Any) -> Routes:
    """Two variants, 90 to 10, and a third version that takes no traffic; all at one backend."""
    given: dict[str, Any] = {
        "deployment": "town",
        "generation": 1,
        "written": "2026-01-01T00:00:00+00:00",
        "backends": {"only": Upstream(url=url)},
        "versions": {f"town:v{n}": Target(backend="only", model=f"town:v{n}") for n in (1, 2, 3)},
        "variants": {n: RoutedVariant(version=v, weight=w) for n, (v, w) in VARIANTS.items()},
        "unit": ["user", "session", "conversation"],
        "salt": "salt",
        "log": "required",
        "window": 3600.0,
    }
    return Routes(**(given | changes))


@dataclass
class GatewayProcess:
    root: Path
    process: "subprocess.Popen[str]"
    url: str

    @property
    def paths(self) -> ProjectPaths:
        return ProjectPaths(self.root)

    def client(self, **kwargs: Any) -> httpx.Client:
        given = {"trust_env": False, "timeout": 20, "verify": False} | kwargs
        return httpx.Client(base_url=self.url, **given)

    def follow(self, table: Routes) -> None:
        """Write a table and wait until the gateway follows it."""
        write_routes(self.paths.deployment("town").routes, table)
        with self.client() as client:
            until(lambda: client.get("/readyz").json()["generation"] == table.generation)

    def records(self) -> list[dict[str, Any]]:
        """Every whole line on disk now, in the order in which it was written."""
        files = sorted(self.paths.journal.glob("*/*.jsonl"))
        lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
        return [orjson.loads(line) for line in lines if line.endswith(b"\n")]

    def recorded(self, count: int = 1) -> list[dict[str, Any]]:
        """The same, once there are that many."""
        until(lambda: len(self.records()) >= count)
        return self.records()

    def log(self) -> str:
        return (self.root / "gateway.log").read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def gateway(root: Path, table: Routes | None, *args: object) -> Iterator[GatewayProcess]:
    """Started, and stopped at the end whatever became of it."""
    if table is not None:
        write_routes(ProjectPaths(root).deployment("town").routes, table)
    argv = [sys.executable, "-m", "llmops.gateway", "--root", root, "--deployment", "town", *args]
    with (root / "gateway.log").open("a") as log:
        process = subprocess.Popen(
            [*map(str, argv)], stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ
        )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            line = process.stdout.readline()
            assert " at " in line, (root / "gateway.log").read_text()
            running = GatewayProcess(root, process, line.rpartition(" at ")[2].strip())
            yield running
            running.stop()
        finally:
            process.kill()
