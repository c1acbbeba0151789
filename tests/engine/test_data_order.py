"""Going on by the real engine: in the middle of an epoch with the same data in the same order, and
after its end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops
from tests.processes import end_of
from tests.waiting import until

pytestmark = pytest.mark.engine

# Three epochs of four steps; two processes, each with a process that loads its data.
ASKED = (
    *("run", "recipes/sft.yaml", "base=town-base:v1", "data.train.0.limit=60"),
    *("args.per_device_train_batch_size=4", "args.gradient_accumulation_steps=2"),
    *("args.max_steps=-1", "args.num_train_epochs=3.0", "args.warmup_steps=2"),
    *("args.save_steps=3", "args.logging_steps=1", "resources.devices=2"),
    "args.dataloader_num_workers=1",
)


def test_two_processes_that_were_killed_come_to_the_same_weights(
    starter: Path, tiny_base: Path
) -> None:
    assert run_llmops(*ASKED, "output.model=undisturbed", cwd=starter).returncode == 0
    before = runs(starter)
    argv = [sys.executable, "-m", "llmops", *ASKED, "output.model=disturbed"]
    with subprocess.Popen(argv, cwd=starter, stderr=subprocess.DEVNULL) as process:
        until(lambda: step(runs(starter) - before) >= 5, seconds=120, process=process)
        everything = [process.pid, *(p.pid for p in psutil.Process(process.pid).children(True))]
        for pid in everything:
            os.kill(pid, signal.SIGKILL)
    assert end_of(everything) == []
    done = run_llmops(*ASKED, "output.model=disturbed", cwd=starter)
    assert done.returncode == 0, done.stderr
    assert "going on from step 3 of an earlier attempt" in done.stderr
    registry = Registry(ProjectPaths(starter))
    undisturbed, disturbed = (registry.versions(name)[0] for name in ("undisturbed", "disturbed"))
    assert disturbed.digest == undisturbed.digest


def test_what_was_killed_before_it_was_registered_is_registered(
    starter: Path, tiny_base: Path
) -> None:
    paths, before = ProjectPaths(starter), runs(starter)
    argv = ("run", "recipes/sft.yaml", "base=town-base:v1", "args.max_steps=4", "args.save_steps=2")
    model = "output.model=unregistered"
    with FileLock(paths.lock("model-unregistered")):  # registration waits for it
        command = [sys.executable, "-m", "llmops", *argv, model]
        with subprocess.Popen(command, cwd=starter, stderr=subprocess.DEVNULL) as process:
            until(lambda: is_through(runs(starter) - before), seconds=120, process=process)
            process.kill()
    done = run_llmops(*argv, model, cwd=starter)
    assert done.returncode == 0, done.stderr
    assert "taking the result of attempt 1 of run" in done.stderr
    assert "training" not in done.stderr
    (made,) = Registry(paths).versions("unregistered")
    assert made.lineage.run in {run.name for run in runs(starter) - before}


def is_through(runs: set[Path]) -> bool:
    """Whether the engine of one of these has done all of its work."""
    files = (file for run in runs for file in run.glob("sft/*/phases.jsonl"))
    return any('"done"' in file.read_text(encoding="utf-8") for file in files)


def runs(starter: Path) -> set[Path]:
    return set((starter / ".llmops" / "runs").iterdir())


def step(runs: set[Path]) -> int:
    """That one of these has logged."""
    lines = [
        json.loads(line)
        for run in runs
        for file in run.glob("sft/*/output/trainer_log.jsonl")
        for line in file.read_text(encoding="utf-8").split("\n")[:-1]
    ]
    return max((line["current_steps"] for line in lines), default=0)
