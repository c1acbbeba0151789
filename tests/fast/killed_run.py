"""`llmops run` of a small pipeline, stopped at one of its system calls, which strace does."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmops.cli.app import main
from llmops.environments.environment import MARKER
from llmops.environments.lock import lock_for
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.store.atomic import write_json
from llmops.store.cache_paths import CachePaths
from tests.conftest import ROOT
from tests.fast.copying_stage import Copying, write_project

CHANGES = (
    *("write", "pwrite64", "writev", "copy_file_range", "sendfile", "ftruncate", "truncate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat"),
    *("utimensat", "fsync", "fdatasync", "flock"),
)
"""System calls that change files, or who holds one."""
FILLS = ("write", "pwrite64", "copy_file_range", "sendfile", "rename", "link", "mkdir", "fsync")
"""Those of them that a full disk refuses."""
_CALL = re.compile(r"([a-z0-9_]+)\(.*")


@dataclass(frozen=True)
class Point:
    """The so-manieth call of its name. told: as strace shows it."""

    call: str
    number: int
    told: str


def make_project(folder: Path) -> Path:
    """With the mark of an environment beside it: a run asks for it, though copying needs none."""
    folder.mkdir()
    lock = lock_for("llamafactory", load_settings(folder))
    environment = CachePaths(folder.parent / "cache").environment(lock.key)
    (environment / "bin").mkdir(parents=True, exist_ok=True)
    (environment / "bin" / "python").touch()
    found = {"engine": "llamafactory", "version": "0.9.5", "python": "3.11"}
    write_json(environment / MARKER, {**found, "size": 0, "created": ""})
    (folder / "llmops.toml").write_text("", encoding="utf-8")
    write_project(folder)
    return folder


def run(
    project: Path, calls: tuple[str, ...], inject: str = ""
) -> tuple["subprocess.CompletedProcess[str]", str]:
    """`llmops run p.yaml` under strace, and what strace saw of these calls."""
    log = project.with_suffix(".strace")
    named = ",".join(calls)
    injected = ["-e", f"inject={named}:{inject}"] if inject else []
    strace = ["strace", "-qq", "-y", "-o", str(log), "-e", f"trace={named}", *injected]
    done = subprocess.run(
        [*strace, sys.executable, "-m", "tests.fast.killed_run", "run", "p.yaml"],
        cwd=project,
        env={**os.environ, **_environment(project)},
        capture_output=True,
        text=True,
        preexec_fn=_heard,
    )
    return done, log.read_text(encoding="utf-8", errors="replace")


def _heard() -> None:
    """Under nohup, and behind a shell's `&`, they are ignored by all that is started there."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _environment(project: Path) -> dict[str, str]:
    """Bytecode that only the first run wrote would be calls that the others do not have."""
    cache = str(project.parent / "cache")
    return {"PYTHONPATH": str(ROOT), "LLMOPS_CACHE": cache, "PYTHONDONTWRITEBYTECODE": "1"}


def points(project: Path, calls: tuple[str, ...]) -> Iterator[Point]:
    """Where a run can be stopped, by one that is not."""
    done, seen = run(project, calls)
    assert done.returncode == 0, done.stderr
    numbers: Counter[str] = Counter()
    for call in filter(None, map(_CALL.match, seen.splitlines())):
        numbers[call[1]] += 1
        if str(project) in call[0]:
            yield Point(call[1], numbers[call[1]], call[0])


def versions(project: Path) -> dict[str, str]:
    """The digests of the model's versions."""
    found = sorted(project.glob(".llmops/models/town/v*/manifest.json"))
    return {file.parent.name: json.loads(file.read_text())["digest"] for file in found}


def moves(project: Path) -> int:
    """How often an alias was moved."""
    return len((project / ".llmops/models/town/aliases.jsonl").read_text().splitlines())


@contextlib.contextmanager
def copying() -> Iterator[None]:
    """Training copies."""
    kept = KINDS["train"]
    KINDS["train"] = Copying()
    try:
        yield
    finally:
        KINDS["train"] = kept


if __name__ == "__main__":
    with copying():
        main()
