"""`llmops run` on the real engine: what a user runs, what goes wrong, and what is left then."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from llmops.registry.manifest import VersionId
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import SHARED_DATA, run_llmops
from tests.processes import end_of
from tests.waiting import until

pytestmark = pytest.mark.engine

FEW_STEPS = ("args.max_steps=4", "args.logging_steps=1", "args.warmup_steps=0")


def registry(project: Path) -> Registry:
    return Registry(ProjectPaths(project))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own with recipes of a few steps."""
    project = tmp_path_factory.mktemp("quick") / "town"
    assert run_llmops("init", project, cwd=project.parent).returncode == 0
    for name in ("cpt", "sft", "dpo"):
        file = project / "recipes" / f"{name}.yaml"
        lines = file.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.strip().startswith(("max_steps", "warmup"))]
        at = kept.index(next(line for line in kept if line.startswith("args:")))
        kept[at + 1 : at + 1] = ["  max_steps: 4", "  warmup_steps: 0"]
        file.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def brought(quick: Path) -> "subprocess.CompletedProcess[str]":
    return run_llmops("run", "recipes/sft.yaml", cwd=quick)


def test_sft_alone_brings_its_base_and_cpt(
    quick: Path, brought: "subprocess.CompletedProcess[str]"
) -> None:
    assert brought.returncode == 0, brought.stderr
    assert [line.split("\t")[:2] for line in brought.stdout.splitlines()] == [
        ["base", "done"],
        ["cpt", "done"],
        ["sft", "done"],
    ]
    again = run_llmops("run", "recipes/sft.yaml", cwd=quick)
    assert [line.split("\t")[1] for line in again.stdout.splitlines()] == ["reused"] * 3


@pytest.mark.usefixtures("brought")
def test_a_version_knows_where_it_comes_from(quick: Path) -> None:
    manifest = registry(quick).get(VersionId("town-base", 2))
    assert manifest.lineage.parent == "town-base:v1"
    assert manifest.lineage.recipe == "recipes/cpt.yaml"
    assert manifest.lineage.data[0].path == "recipes/data/town_cpt.jsonl"
    assert manifest.lineage.data[0].reference == "path:data/town_cpt.jsonl"
    assert {"llmops", "llamafactory", "torch", "peft"} <= manifest.lineage.packages.keys()
    assert manifest.template is not None
    assert manifest.template.sha256 is not None
    assert len(manifest.golden) == 4
    assert manifest.metrics["train_loss"] > 0


def test_a_template_that_the_server_does_not_use_is_warned_of(
    starter: Path, tiny_base: Path
) -> None:
    sft = ("run", "recipes/sft.yaml", "base=town-base:v1", "output.model=template", *FEW_STEPS)
    sft = (*sft, "args.finetuning_type=lora")
    insisting = ("template=alpaca", "insist_on_template=true")
    told = run_llmops(*sft, *insisting, cwd=starter)
    assert told.returncode == 0, told.stderr
    assert "warning: `template: alpaca` trains on other tokens" in told.stderr
    quiet = run_llmops(*sft, cwd=starter)
    assert "warning" not in quiet.stderr
    other, own = (manifest.golden[0] for manifest in registry(starter).versions("template"))
    assert other.messages == own.messages
    assert other.prompt_ids != own.prompt_ids


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the engine's demo sets are not here")
@pytest.mark.parametrize(
    ("recipe", "file"),
    [("cpt", "c4_demo.jsonl"), ("sft", "alpaca_en_demo.json"), ("dpo", "dpo_en_demo.json")],
)
def test_the_engines_own_demo_sets_train_unconverted(
    starter: Path, tiny_base: Path, recipe: str, file: str
) -> None:
    done = run_llmops(
        "run",
        f"recipes/{recipe}.yaml",
        f"data.train.0.path={os.path.relpath(SHARED_DATA / file, starter)}",
        "base=town-base:v1",
        "output.model=demo-sets",
        "args.cutoff_len=128",
        "args.per_device_train_batch_size=2",
        *FEW_STEPS,
        cwd=starter,
    )
    assert done.returncode == 0, done.stderr
    manifest = registry(starter).versions("demo-sets")[-1]
    assert manifest.lineage.data[0].path.endswith(file)


@contextmanager
def watched(starter: Path, *args: str) -> Iterator["subprocess.Popen[str]"]:
    """A command whose output can be read line by line; gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llmops", *args],
        cwd=starter,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def await_step(process: "subprocess.Popen[str]", step: int) -> None:
    """Read on until training has reported that step."""
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"training step ([0-9]+)/", line)
        if found and int(found[1]) >= step:
            return
    raise AssertionError("training ended before")


@pytest.fixture
def training(starter: Path, tiny_base: Path) -> Iterator["subprocess.Popen[str]"]:
    """`llmops run` of a long training, which has reported its first step."""
    argv = ("run", "recipes/sft.yaml", "base=town-base:v1", "output.model=never")
    steps = ("args.max_steps=100000", "args.logging_steps=1")
    with watched(starter, *argv, *steps) as process:
        await_step(process, 1)
        yield process


def rest_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    text = process.stdout.read()
    process.wait(60)
    return text


def engine_processes(starter: Path) -> list[psutil.Process]:
    """The processes that work in, or on, a run of the project."""
    runs = str(starter / ".llmops" / "runs")
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if runs in " ".join([process.info["cwd"] or "", *(process.info["cmdline"] or [])])
    ]


def nothing_is_left(starter: Path) -> bool:
    left = [process.pid for process in engine_processes(starter)]
    return not end_of(left) and not registry(starter).versions("never")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_all_its_processes(
    training: "subprocess.Popen[str]", starter: Path, number: signal.Signals
) -> None:
    assert engine_processes(starter)
    training.send_signal(number)
    told = rest_of(training)
    assert training.returncode == 130, told
    assert "interrupted" in told
    assert nothing_is_left(starter)


def test_showing_data_can_be_interrupted(starter: Path, tiny_base: Path) -> None:
    with watched(starter, "data", "show", "recipes/sft.yaml", "base=town-base:v1") as process:
        until(lambda: "show.py" in str(below(process.pid)), 60, process)
        process.send_signal(signal.SIGINT)
        told = rest_of(process)
    assert process.returncode == 130, told
    assert "the engine cannot show" not in told


def below(pid: int) -> list[list[str]]:
    """The commands of a process's descendants."""
    found = []
    for one in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.append(one.cmdline())
    return found


def test_killing_llmops_ends_its_engine(training: "subprocess.Popen[str]", starter: Path) -> None:
    training.kill()
    rest_of(training)
    assert nothing_is_left(starter)
    runs = run_llmops("runs", "list", "--json", cwd=starter)
    assert json.loads(runs.stdout)[-1]["state"] == "died"


def test_a_killed_training_comes_to_the_same_end(starter: Path, tiny_base: Path) -> None:
    argv = [
        *("run", "recipes/sft.yaml", "base=town-base:v1", "args.max_steps=60"),
        *("args.save_steps=10", "args.logging_steps=1"),
    ]
    with watched(starter, *argv, "output.model=resumed") as process:
        await_step(process, 32)
    assert end_of([p.pid for p in engine_processes(starter)]) == []
    newest = max(starter.glob(".llmops/runs/*/sft/1/output/checkpoint-*"), key=step_of)
    optimizer = newest / "optimizer.pt"
    os.truncate(optimizer, optimizer.stat().st_size - 1)
    said = run_llmops(*argv, "output.model=resumed", cwd=starter)
    assert said.returncode == 0, said.stderr
    assert f"going on from step {step_of(newest) - 10}" in said.stderr
    assert not list(starter.glob(".llmops/runs/*/sft/1/output/checkpoint-*"))
    log = max(starter.glob(".llmops/runs/*/sft/1/log.txt"))
    assert "Loaded tokenized dataset from" in log.read_text()
    shutil.rmtree(starter / ".llmops" / "cache" / "tokenized")
    assert run_llmops(*argv, "output.model=whole", cwd=starter).returncode == 0
    killed, whole = (registry(starter).versions(name)[0] for name in ("resumed", "whole"))
    assert killed.digest == whole.digest
    assert killed.metrics["loss"] == whole.metrics["loss"]


def test_what_was_killed_after_its_last_step_is_finished_from_it(
    starter: Path, tiny_base: Path
) -> None:
    argv = ["run", "recipes/sft.yaml", "base=town-base:v1", *FEW_STEPS, "args.save_steps=100"]
    phases = ".llmops/runs/*/sft/1/phases.jsonl"
    before = {*starter.glob(phases)}

    def saving() -> set[Path]:
        new = {*starter.glob(phases)} - before
        return {file for file in new if '"saving"' in file.read_text(encoding="utf-8")}

    with watched(starter, *argv, "output.model=cut") as process:
        (cut,) = until(saving, 60, process)
        process.kill()
        for engine in engine_processes(starter):
            with suppress(psutil.NoSuchProcess):
                engine.kill()
    assert end_of([p.pid for p in engine_processes(starter)]) == []
    assert '"done"' not in cut.read_text(encoding="utf-8")
    said = run_llmops(*argv, "output.model=cut", cwd=starter)
    assert said.returncode == 0, said.stderr
    assert "going on from step 4 of an earlier attempt" in said.stderr
    assert run_llmops(*argv, "output.model=uncut", cwd=starter).returncode == 0
    finished, whole = (registry(starter).versions(name)[0] for name in ("cut", "uncut"))
    assert finished.digest == whole.digest
    assert finished.golden == whole.golden
    assert finished.metrics["loss"] == whole.metrics["loss"]


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def test_an_engine_that_crashes_is_told_with_its_log(
    training: "subprocess.Popen[str]", starter: Path
) -> None:
    for process in engine_processes(starter):
        if "launcher.py" in " ".join(process.cmdline()) and "guard.py" not in " ".join(
            process.cmdline()
        ):
            process.kill()
    told = rest_of(training)
    assert training.returncode == 1, told
    assert "error: stage sft failed: killed by signal 9" in told
    assert "log.txt" in told
    assert nothing_is_left(starter)
