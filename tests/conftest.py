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
from xdist.scheduler import LoadScopeScheduling

from llmops.cli.app import main

os.environ["HF_HUB_OFFLINE"] = "1"
"""No test asks the real Hub; those with one of their own (tests/hub) unset it."""

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

TOGETHER = ("tests/engine/town/", "tests/engine/", "tests/browser/")
"""What shares a session's servers and runs in one worker. In this order: what takes longest is to
begin first, and what stands alone fills the rest."""

Llmops = Callable[..., "subprocess.CompletedProcess[str]"]


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """`--dist loadgroup` by directory. (xdist 3.8 does not see its own marks under pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    if config.getvalue("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False  # by the number of tests, which says nothing of time
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        found = (n for n, folder in enumerate(TOGETHER) if item.nodeid.startswith(folder))
        return next(found, len(TOGETHER))

    items.sort(key=place)


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
