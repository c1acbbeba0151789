"""Fixtures that all the tests share: a project in a temporary directory, and the command."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmops.cli.app import main

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

GROUPS = {"engine": "engines", "browser": "browser"}
"""What shares a session's servers runs in one worker: by marker, or by directory."""

Llmops = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = {mark.name for mark in item.iter_markers()} | {item.path.parent.name}
        for name in names & GROUPS.keys():
            item.add_marker(pytest.mark.xdist_group(GROUPS[name]))


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
def llmops(project: Path, monkeypatch: pytest.MonkeyPatch) -> Llmops:
    """`llmops(...)` in the project, without any engine installed; in this process, which spares
    the start of another."""

    def call(*args: object, **kwargs: object) -> "subprocess.CompletedProcess[str]":
        monkeypatch.setenv("LLMOPS_CACHE", str(project.parent / "cache"))
        monkeypatch.setattr(sys, "argv", ["llmops", *map(str, args)])
        out, err = io.StringIO(), io.StringIO()
        code: Any = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
        return subprocess.CompletedProcess(list(args), code, out.getvalue(), err.getvalue())

    return call
