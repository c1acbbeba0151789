"""Every layout of data, compiled and trained for two steps by the real engine.

What the engine trained on is read from its own log, so that a layout that it misreads is seen.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import llmops.engines.llamafactory as llamafactory_engine
from llmops.data.tokens import TokenCounts
from llmops.engines.contract import Command, Environment, ModelFiles, TrainJob
from llmops.engines.llamafactory.engine import LlamaFactory
from llmops.stages.engine_run import write_files
from llmops.store.digest import sha256_file
from tests.training_jobs import GOOD, LAYOUT_ROWS, SYSTEM, USER, train_job, train_recipe, write_rows

pytestmark = pytest.mark.engine

QUICK = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "cutoff_len": 128,
    "lora_rank": 4,
}
ENGINE = LlamaFactory()
AGAIN = {"role": "user", "content": "And what is it twice, if you please, in as few words?"}
TURNS = [USER, GOOD, AGAIN, {"role": "assistant", "content": "8, as anybody can work out."}]
LONG = {"prompt": "What would you say is the sum of 2 and 2, all things considered?"}


FORKS = """
import json, os, runpy, sys, traceback
sys.path.insert(0, sys.argv[1])
import launcher
launcher.stand_in_for_torchaudio()
import llamafactory.train.tuner
for line in sys.stdin:
    argv, folder, env = json.loads(line)
    child = os.fork()
    if not child:
        os.environ |= env
        os.chdir(folder)
        os.dup2(os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        code, sys.argv = 1, argv
        try:
            runpy.run_path(argv[0], run_name="__main__")
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs the launcher in a fork of a process that has imported the engine, which takes most of the
time of a training of two steps."""
WORKER = Path(llamafactory_engine.__file__).parent / "worker"


class Engine:
    """That process. One job after the other."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._process = subprocess.Popen(
            [environment.python, "-c", FORKS, WORKER],
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: Command, folder: Path) -> str:
        """Write a compiled job and run it; its output."""
        write_files(command, folder)
        launcher = command.argv[command.argv.index(str(WORKER / "launcher.py")) :]
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([launcher, str(folder), dict(command.env)]) + "\n")
        self._process.stdin.flush()
        ended = next(line for line in self._process.stdout if line.startswith("ended "))
        text = (folder / "log.txt").read_text()
        assert ended == "ended 0\n", text[-3000:]
        return text

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def forking(llamafactory: Environment) -> Iterator[Engine]:
    engine = Engine(llamafactory)
    yield engine
    engine.close()


def run(command: Command, folder: Path) -> str:
    """The same in a process of its own."""
    write_files(command, folder)
    with (folder / "log.txt").open("w") as log:
        done = subprocess.run(
            command.argv,
            cwd=folder,
            env={**os.environ, **command.env, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
    text = (folder / "log.txt").read_text()
    assert done.returncode == 0, text[-3000:]
    return text


def contents(prompt: Any) -> list[str]:
    """The texts of a prompt; the engine logs the first sample that it trains on."""
    return [prompt] if isinstance(prompt, str) else [turn["content"] for turn in prompt]


# name: stage, options, file, rows. Besides every layout, what the options make of samples.
CASES: dict[str, tuple[str, dict[str, Any], str, Any]] = {
    **{name: (stage, {}, file, rows) for name, (stage, file, rows) in LAYOUT_ROWS.items()},
    "turns-cut": ("sft", {"cutoff_len": 40}, "a.jsonl", {"messages": [SYSTEM, *TURNS]}),
    "turns-masked": ("sft", {"mask_history": True}, "a.jsonl", {"messages": TURNS}),
    "prompt-too": ("sft", {"train_on_prompt": True}, "a.jsonl", {"messages": TURNS}),
    "packed": ("sft", {"packing": True}, "a.jsonl", {"messages": TURNS}),
    "pair-cut": ("dpo", {"cutoff_len": 24}, "a.jsonl", LAYOUT_ROWS["preference"][2] | LONG),
}
Trained = tuple[TrainJob, str]


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, forking: Engine
) -> Callable[[str], Trained]:
    """The job and the log of a case, which is trained once."""

    @cache
    def once(name: str) -> Trained:
        stage, options, file, rows = CASES[name]
        folder = tmp_path_factory.mktemp(name)
        data = write_rows(folder / file, rows)
        recipe = train_recipe(folder, stage, QUICK | options, data=data)
        ENGINE.check(recipe, forking.environment)
        job = train_job(recipe, ModelFiles(tiny_base), folder / "attempt")
        compiled = ENGINE.compile_train(job, forking.environment)
        return job, forking.run(compiled, folder / "attempt")

    return once


@pytest.mark.parametrize("name", CASES)
def test_layout_trains(name: str, trained: Callable[[str], Trained]) -> None:
    job, log = trained(name)
    result = ENGINE.finished(job.attempt)
    steps = [reading.step for reading in ENGINE.follow(job.attempt).poll()]
    assert (result.kind, result.lora_rank, max(steps)) == ("adapter", 4, 2)
    for asked in contents(job.golden[0]) if "cut" not in name else ():
        assert asked in log
    assert "Dropped invalid example" not in log
    assert "Skipping this abnormal example" not in log


SHOW = """
import json, sys, tempfile
sys.path.insert(0, sys.argv[1])
import launcher, show
launcher.stand_in_for_torchaudio()
for folder in sys.argv[2:]:
    config = launcher.read_config(folder + "/config.yaml")
    found = show.shown(config, 1, tempfile.mkdtemp())
    show.write_json(folder + "/samples.json", found)
"""
"""The worker's own function over many configs: importing the engine takes most of its time."""


def test_samples_are_shown_as_training_saw_them(
    trained: Callable[[str], Trained], llamafactory: Environment
) -> None:
    jobs = {name: trained(name) for name in CASES}
    folders = [job.attempt.root for job, _ in jobs.values()]
    argv = [llamafactory.python, "-c", SHOW, WORKER]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([*argv, *folders], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    shown = {name: json.loads(job.attempt.samples.read_text()) for name, (job, _) in jobs.items()}
    assert {name: seen(found) for name, found in shown.items()} == {
        name: logged(log) for name, (_, log) in jobs.items()
    }
    cut = {name: sum(part["cut"] for part in found["samples"][0]) for name, found in shown.items()}
    assert {name for name, tokens in cut.items() if tokens} == {"turns-cut", "pair-cut"}
    assert shown["packed"]["packed"]
    assert {name: counted(job) for name, (job, _) in jobs.items()} == {
        name: [found[figure] for figure in ("rows", "tokens", "longest", "cut")]
        for name, found in shown.items()
    }


def counted(job: TrainJob) -> list[int]:
    """What a plan says of a job's data, without the engine."""
    cutoff, (data,) = job.recipe.spec.args["cutoff_len"], job.train
    found = TokenCounts(job.attempt.root / "tokens.json", sha256_file).count(
        data, job.base.directory, cutoff
    )
    assert found is not None
    return list(vars(found).values())


def seen(shown: dict[str, Any]) -> list[list[int]]:
    """The ids and the labels of the first sample, part by part."""
    found = []
    for part in shown["samples"][0]:
        ids = [one for run in part["segments"] for one in run["ids"]]
        marks = [run["trained"] for run in part["segments"] for _ in run["ids"]]
        labels = [one if mark else -100 for one, mark in zip(ids, marks, strict=True)]
        found += [ids, labels]
    return found


def logged(log: str) -> list[list[int]]:
    """The same, as the engine says it in its log before it trains. Plain text has no labels."""
    lines = log.splitlines()
    found = [
        json.loads(lines[number + 1])
        for number, line in enumerate(lines)
        if re.fullmatch(r"(chosen_|rejected_)?(input_ids|label_ids):", line)
    ]
    return found * 2 if len(found) == 1 else found


def test_two_processes_and_validation(
    tmp_path: Path, tiny_base: Path, llamafactory: Environment
) -> None:
    data = write_rows(tmp_path / "a.jsonl", LAYOUT_ROWS["messages"][2])
    recipe = train_recipe(
        tmp_path,
        "sft",
        {**QUICK, "finetuning_type": "full", "eval_strategy": "steps", "eval_steps": 1},
        data=data,
        validation=0.25,
        resources={"devices": 2},
    )
    engine = LlamaFactory()
    job = train_job(recipe, ModelFiles(tiny_base), tmp_path / "attempt")
    log = run(engine.compile_train(job, llamafactory), tmp_path / "attempt")

    result = engine.finished(job.attempt)
    assert "world size: 2" in log
    assert result.kind == "full"
    assert result.metrics["eval_loss"] > 0
