"""A real `llmops control` on loopback, in front of a small project of its own."""

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
import pytest

from llmops.registry.manifest import Draft, Lineage
from llmops.registry.store import Registry
from llmops.starter import copy_starter
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_adapter, write_full

SECRET = "a secret of callers"
NIGHT = """\
name: night
stages:
  base: {recipe: recipes/base.yaml}
triggers:
  - {cron: "0 3 * * *", approval: true}
  - {webhook: LLMOPS_HOOK_SECRET}
"""


def make_project(root: Path) -> None:
    """The starter, a pipeline with triggers, and two versions of one model."""
    copy_starter(root)
    (root / "pipelines" / "night.yaml").write_text(NIGHT, encoding="utf-8")
    registry = Registry(ProjectPaths(root))
    registry.add(Draft(name="town", kind="full", stage="sft"), write_full(root / ".made" / "full"))
    made = Lineage(run="20260101-000000-town", recipe="recipes/dpo.yaml", parent="town:v1")
    draft = Draft(name="town", kind="adapter", stage="dpo", base="town:v1", lineage=made)
    registry.add(draft, write_adapter(root / ".made" / "adapter", "town:v1"))


@dataclass
class ControlProcess:
    """url: where it answers; log: what it says."""

    root: Path
    process: "subprocess.Popen[bytes]"
    url: str
    log: Path

    @property
    def paths(self) -> ProjectPaths:
        return ProjectPaths(self.root)

    def client(self, **kwargs: Any) -> httpx.Client:
        given = {"trust_env": False, "timeout": 30, "verify": False} | kwargs
        return httpx.Client(base_url=self.url, **given)

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        with self.client() as client:
            return client.get(path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(path, json=body, **kwargs)

    def put(self, path: str, body: Any) -> httpx.Response:
        with self.client() as client:
            return client.put(path, json=body)

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def control(root: Path, *args: object, **env: str) -> Iterator[ControlProcess]:
    """Started, and stopped at the end whatever became of it."""
    log = root.parent / f"{root.name}-control.log"
    argv = [sys.executable, "-m", "llmops", "control", "--port", "0", *map(str, args)]
    given = {**os.environ, "LLMOPS_HOOK_SECRET": SECRET, **env}
    read, write = os.pipe()
    with os.fdopen(read) as said:
        process = subprocess.Popen(argv, cwd=root, stdout=write, stderr=write, env=given)
        os.close(write)
        with process:
            try:
                lines = [said.readline()]
                while lines[-1] and " at http" not in lines[-1]:
                    lines.append(said.readline())
                assert lines[-1], "".join(lines)
                url = lines[-1].rpartition(" at ")[2].split('"')[0].strip()
                yield ControlProcess(root, process, url, log)
                if process.poll() is None:
                    process.terminate()
                    process.wait(30)
            finally:
                process.kill()


@contextmanager
def controlled(factory: pytest.TempPathFactory, *args: object) -> Iterator[ControlProcess]:
    """`control` of a project that was just made (`make_project`)."""
    root = factory.mktemp("control") / "town"
    make_project(root)
    with control(root, *args) as process:
        yield process
