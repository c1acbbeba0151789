"""Fixtures that all the tests share: a project in a temporary directory, and the command."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

Llmops = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the working directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "llmops.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def run_llmops(
    *args: object, cwd: Path, env: dict[str, str] | None = None, timeout: float = 600
) -> "subprocess.CompletedProcess[str]":
    """The command as a user starts it, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "llmops", *map(str, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def llmops(project: Path) -> Llmops:
    """`llmops(...)` in the project, without any engine installed."""

    def call(*args: object, **kwargs: object) -> "subprocess.CompletedProcess[str]":
        env = {"LLMOPS_CACHE": str(project.parent / "cache")}
        return run_llmops(*args, cwd=project, env=env)

    return call
