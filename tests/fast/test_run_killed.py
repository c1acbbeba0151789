"""A run that is stopped between any two changes of a file: by kill -9, by a signal that it may
answer, or by a disk that is full. The same command, or --resume, brings it to the same end."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from llmops.store.leftovers import AGE
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast import killed_run
from tests.fast.killed_run import (
    CHANGES,
    FILLS,
    Point,
    copying,
    make_project,
    moves,
    points,
    versions,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]
FEW = 5
"""So many of the points are tried; with SWEEP=all every one."""

Projects = Callable[[str], Path]
Ended = Callable[["subprocess.CompletedProcess[str]", list[str]], bool]


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Projects:
    """Makes projects, each of which is the working directory then."""

    def make(name: str) -> Path:
        folder = make_project(tmp_path / name)
        monkeypatch.chdir(folder)
        return folder

    return make


def asked(llmops: Llmops, *args: str) -> str:
    with copying():
        done = llmops(*args)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def told(llmops: Llmops) -> list[str]:
    """The states of the runs, of which all commands tell."""
    for command in ("show", "log", "events"):
        llmops("runs", command, "last")  # an error that is none for users is raised here
    return [one["state"] for one in json.loads(asked(llmops, "runs", "list", "--json"))]


def goes_on(llmops: Llmops, project: Path, whole: dict[str, str], *args: str) -> None:
    """To the end of the run that nobody stopped; nothing is made twice, locked or left."""
    asked(llmops, "run", *args)
    assert versions(project) == whole
    assert moves(project) == 1
    for lock in ProjectPaths(project).locks.iterdir():
        with FileLock(lock).acquire(timeout=0):
            pass
    table = asked(llmops, "run", "p.yaml").splitlines()
    assert [line.split("\t")[1] for line in table] == ["reused"] * 3
    for file in (project / ".llmops").rglob("*"):
        at = file.stat().st_mtime - 2 * AGE
        os.utime(file, (at, at))
    asked(llmops, "cache", "gc")
    assert list((project / ".llmops").rglob(".*")) == []


def sweep(
    projects: Projects, llmops: Llmops, calls: tuple[str, ...], inject: str, ended: Ended
) -> None:
    """Inject that at the points, and go on by the same command or by --resume in turn."""
    traced = projects("traced")
    found = list(points(traced, calls))
    whole = versions(traced)
    for at, point in enumerate(chosen(found)):
        project = projects(f"at-{at}")
        done, _ = killed_run.run(project, (point.call,), f"{inject}:when={point.number}")
        states = told(llmops)
        assert "Traceback" not in done.stderr, (point, done.stderr)
        assert ended(done, states), (point, done.returncode, states, done.stderr)
        resumed = at % 2 and states not in ([], ["done"])
        goes_on(llmops, project, whole, *(("--resume", "last") if resumed else ("p.yaml",)))


def chosen(found: list[Point]) -> list[Point]:
    """Spread over the run, the last one included; some of them before what was written is given
    its name."""
    if os.environ.get("SWEEP") == "all":
        return found
    named = [point for point in found if point.call == "rename"] or found
    return [*_spread(named, 2), *_spread(found, FEW - 2)]


def _spread(found: list[Point], number: int) -> list[Point]:
    return [found[len(found) * (at + 1) // number - 1] for at in range(number)]


def test_kill_9(projects: Projects, llmops: Llmops) -> None:
    def ended(done: "subprocess.CompletedProcess[str]", states: list[str]) -> bool:
        return done.returncode == -signal.SIGKILL and states in ([], ["died"], ["done"])

    sweep(projects, llmops, CHANGES, "signal=KILL", ended)


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_a_signal(projects: Projects, llmops: Llmops, name: str) -> None:
    def ended(done: "subprocess.CompletedProcess[str]", states: list[str]) -> bool:
        return done.returncode == 130 and states in ([], ["interrupted"], ["died"], ["done"])

    sweep(projects, llmops, CHANGES, f"signal={name}", ended)


def test_a_disk_that_cannot_be_read(projects: Projects, llmops: Llmops) -> None:
    def ended(done: "subprocess.CompletedProcess[str]", states: list[str]) -> bool:
        if done.returncode == 0:  # what was only remembered is found out again
            return states == ["done"]
        return "error: " in done.stderr and states in ([], ["failed"], ["died"])

    sweep(projects, llmops, ("read",), "error=EIO", ended)


def test_a_full_disk(projects: Projects, llmops: Llmops) -> None:
    def ended(done: "subprocess.CompletedProcess[str]", states: list[str]) -> bool:
        if done.returncode == 0:  # what is only remembered is found out again
            return states == ["done"]
        full = "no space left" in done.stderr.lower()
        return done.returncode == 1 and full and states in ([], ["failed"], ["died"], ["done"])

    sweep(projects, llmops, FILLS, "error=ENOSPC", ended)
