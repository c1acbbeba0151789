"""Tokenized data, kept and taken by the real engine: it trains on the very same tokens, and what is
damaged or half written is never among them."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from llmops.engines.contract import Environment
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops
from tests.engine.test_run import engine_processes, rest_of, watched
from tests.engine.worker_run import WORKER, run
from tests.processes import end_of
from tests.training_jobs import write_rows
from tests.waiting import until

pytestmark = pytest.mark.engine

TOOK = "Loaded tokenized dataset from"
QUICK = {"max_steps": 3, "per_device_train_batch_size": 2, "cutoff_len": 64, "lora_rank": 4}


def asked(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What is {number} and one?"}]


def said(number: int) -> dict[str, str]:
    return {"role": "assistant", "content": f"It is {number + 1}, I should think."}


def text(number: int) -> dict[str, Any]:
    return {"text": f"The number after {number} is {number + 1}. " * 3}


def chat(number: int) -> dict[str, Any]:
    return {"messages": [*asked(number), said(number)]}


def pair(number: int) -> dict[str, Any]:
    return {"messages": asked(number), "chosen": said(number), "rejected": said(number + 7)}


def judged(number: int) -> dict[str, Any]:
    return chat(number) | {"label": number % 2 == 0}


# name: stage, rows, options, data. What is drawn at random, and what several processes do.
CASES: dict[str, tuple[str, Any, dict[str, Any], dict[str, Any]]] = {
    "cpt": ("cpt", text, {}, {}),
    "sft": ("sft", chat, {}, {}),
    "dpo": ("dpo", pair, {}, {}),
    "kto": ("kto", judged, {}, {}),
    "rm": ("rm", pair, {}, {}),
    "drawn": ("sft", chat, {"eval_strategy": "steps", "eval_steps": 2}, {"limit": 20}),
    "packed": ("sft", chat, {"neat_packing": True}, {}),
    "two": ("sft", chat, {}, {"devices": 2}),
}


@pytest.fixture
def town(base_project: Path, tmp_path: Path) -> Path:
    """A project with a base model and nothing else, whose cache is its own."""
    found = Path(shutil.copytree(base_project, tmp_path / "town"))
    shutil.rmtree(found / ".llmops" / "cache", ignore_errors=True)  # others train in the first one
    return found


def recipe(town: Path, name: str) -> Path:
    """A recipe of three steps over 40 rows."""
    stage, row, options, more = CASES[name]
    data: dict[str, Any] = {
        "path": str(write_rows(town / f"{name}.jsonl", list(map(row, range(40)))))
    }
    if "limit" in more:
        data["limit"] = more["limit"]
    spec = {
        "kind": "train",
        "stage": stage,
        "base": "town-base:v1",
        "data": {"train": [data]} | ({"validation": 0.1} if "eval_steps" in options else {}),
        "resources": {"devices": more.get("devices", 1)},
        "args": QUICK | options,
        "output": {"model": name},
    }
    file = town / f"{name}.yaml"
    file.write_text(json.dumps(spec))
    return file


def trained(town: Path, name: str, *overrides: str) -> tuple[str, str]:
    """The digest of the version that came of it, and the engine's log."""
    before = set(town.glob(".llmops/runs/*/*/*/log.txt"))
    done = run_llmops("run", recipe(town, name), *overrides, cwd=town)
    assert done.returncode == 0, done.stderr
    model = next((o.partition("=")[2] for o in overrides if o.startswith("output.")), name)
    (log,) = set(town.glob(".llmops/runs/*/*/*/log.txt")) - before
    assert not list(town.glob(".llmops/runs/*/*/*/tokenized"))
    version = Registry(ProjectPaths(town)).versions(model)[-1]
    return version.digest, log.read_text() + done.stderr


def planned(town: Path, name: str, *overrides: str) -> str:
    return run_llmops("plan", recipe(town, name), *overrides, cwd=town).stdout


def entries(town: Path) -> list[Path]:
    return sorted((town / ".llmops" / "cache" / "tokenized").glob("*"))


@pytest.mark.parametrize("name", CASES)
def test_tokens_that_are_taken_train_the_very_same_weights(town: Path, name: str) -> None:
    made, first = trained(town, name)
    assert TOOK not in first
    assert "tokens: cached" in planned(town, name, "args.learning_rate=1e-3")
    same, second = trained(town, name, "output.model=again")
    assert TOOK in second
    assert "Running tokenizer" not in second
    assert same == made
    assert len(entries(town)) == 1


def test_a_flipped_byte_is_found_and_the_entry_made_anew(town: Path) -> None:
    made, _ = trained(town, "sft")
    (entry,) = entries(town)
    file = next(entry.rglob("*.arrow"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    same, log = trained(town, "sft", "output.model=again")
    assert "cached tokens are damaged: they are removed, and made anew" in log
    assert TOOK not in log
    assert same == made
    assert "tokens: cached" in planned(town, "sft", "args.learning_rate=1e-3")


def test_what_is_killed_while_it_saves_leaves_nothing_that_is_used(town: Path) -> None:
    argv = ("run", str(recipe(town, "sft")), "args.cutoff_len=1024")
    long = {"role": "assistant", "content": said(5)["content"] * 40}
    write_rows(town / "sft.jsonl", [{"messages": [*asked(n), long]} for n in range(20_000)])
    with watched(town, *argv) as process:
        until(lambda: list(town.glob(".llmops/runs/*/*/*/tokenized/data.begun/*")), 120, process)
        for one in [*engine_processes(town), process]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        rest_of(process)
    assert end_of([one.pid for one in engine_processes(town)]) == []
    assert list(town.glob(".llmops/runs/*/*/*/tokenized/data.begun"))
    assert entries(town) == []
    done = run_llmops(*argv, cwd=town)
    assert done.returncode == 0, done.stderr
    assert TOOK not in max(town.glob(".llmops/runs/*/*/*/log.txt")).read_text()
    assert not list(town.glob(".llmops/runs/*/*/*/tokenized"))
    assert len(entries(town)) == 1


KEEP = """
import sys
sys.path.insert(0, sys.argv[1])
import launcher
launcher.stand_in_for_torchaudio()
from datasets import Dataset, DatasetDict
from llamafactory.data import loader
from phases import Phases
from tokenized import keep
keep({"folder": sys.argv[2], "spare": int(sys.argv[3])}, Phases(None))
data = Dataset.from_dict({"input_ids": [[1, 2]] * 1000})
print(len(loader.get_dataset_module(DatasetDict(train=data))["train_dataset"]))
"""


@pytest.mark.parametrize(("spare", "there"), [(0, True), (1 << 60, False)])
def test_what_needs_the_disk_for_something_else_trains_all_the_same(
    spare: int, there: bool, tmp_path: Path, llamafactory: Environment
) -> None:
    folder = tmp_path / "tokenized" / "data"
    said = run(llamafactory, ["-c", KEEP, str(WORKER), str(folder), str(spare)], tmp_path)
    assert said.splitlines()[-1] == "1000"
    assert ("tokenized data is not kept: the disk has no room" in said) is not there
    assert [one.name for one in folder.parent.iterdir()] == ["data"] * there


def shown(town: Path, *overrides: str) -> list[dict[str, Any]]:
    """The samples that were drawn."""
    argv = ("data", "show", town / "drawn.yaml", *overrides, "--json", "-n", 20)
    done = run_llmops(*argv, cwd=town)
    assert done.returncode == 0, done.stderr
    return [sample[0] for sample in json.loads(done.stdout)["samples"]]


def ids(sample: dict[str, Any]) -> list[int]:
    return [token for run in sample["segments"] for token in run["ids"]]


def test_what_is_cut_off_is_told_of_the_rows_that_were_drawn(town: Path) -> None:
    recipe(town, "drawn")
    rows = [{"messages": [*asked(10**n), said(10**n)]} for n in range(40)]
    write_rows(town / "drawn.jsonl", rows)
    short, whole = shown(town, "args.cutoff_len=30"), shown(town, "args.cutoff_len=1000")
    assert [len(ids(one)) + one["cut"] for one in short] == [len(ids(one)) for one in whole]
    assert any(one["cut"] for one in short)


def test_the_rows_that_are_shown_are_those_that_are_trained_on(town: Path) -> None:
    trained(town, "drawn", "args.seed=7")
    (entry,) = entries(town)
    (file,) = entry.rglob("train/*.arrow")
    there = pl.read_ipc_stream(file)["input_ids"].to_list()
    found = [ids(one) for one in shown(town, "args.seed=7")]
    assert len(there) == 18  # of 20 two are held back
    assert all(one in found for one in there)
