"""Limits of a job, with real processes and files."""

import os
import sys
from pathlib import Path

import pytest

from llmops.runner import process
from llmops.runner.limits import Limits
from llmops.spec.recipe import Resources

UP = "import signal; print('up', flush=True); signal.pause()"
HUNGRY = f"held = bytearray(80_000_000); {UP}"
WRITER = f"open('big', 'wb').write(bytes(9_000_000)); {UP}"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HUNGRY!r}])"


class Over(Exception):
    """A limit was broken."""


def run(folder: Path, text: str, allowed: Resources) -> str:
    """What it is ended with, once it is up."""
    log, limits = folder / "log.txt", Limits(allowed, folder)

    def tick(job: process.Process) -> None:
        if "up" in log.read_text(encoding="utf-8") and (told := limits.broken(job.pid)):
            raise Over(told)
        assert job.popen.poll() is None, "it was not ended"

    with pytest.raises(Over) as over:
        process.run([sys.executable, "-c", text], env={}, log=log, cwd=folder, tick=tick)
    return str(over.value)


def test_memory_of_all_processes_counts(tmp_path: Path) -> None:
    assert "over `resources.memory: 50MB`" in run(tmp_path, CHILD, Resources(memory="50MB"))


def test_disk(tmp_path: Path) -> None:
    assert "9.0 MB on disk, over" in run(tmp_path, WRITER, Resources(disk="8MB"))


def test_processes(tmp_path: Path) -> None:
    assert run(tmp_path, CHILD, Resources(processes=1)).startswith("2 processes, over")


def test_what_keeps_its_limits_is_left_alone(tmp_path: Path) -> None:
    allowed = Resources(memory="1TB", disk="1TB", processes=500)
    assert Limits(allowed, tmp_path).broken(os.getpid()) == ""
