"""Trainings that go wrong on the real engine, and what the recipe's `watch:` does about them."""

import json
from pathlib import Path

import pytest

from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops

pytestmark = pytest.mark.engine

DIVERGES = (
    *("run", "recipes/sft.yaml", "base=town-base:v1", "args.max_steps=100", "args.warmup_steps=0"),
    *("args.logging_steps=1", "args.learning_rate=1.0"),
)
EVALUATED = ("args.eval_strategy=steps", "args.eval_steps=2", "data.validation=0.02")


def test_it_fails_where_it_shall(starter: Path, tiny_base: Path) -> None:
    done = run_llmops(*DIVERGES, "watch.instability=fail", "output.model=failing", cwd=starter)
    assert done.returncode == 1
    assert "stage sft failed: instability: the loss rose from" in done.stderr
    assert Registry(ProjectPaths(starter)).versions("failing") == []


@pytest.mark.parametrize("devices", [1, 2])
def test_it_stops_and_keeps_the_best(starter: Path, tiny_base: Path, devices: int) -> None:
    asked = ("watch.instability=stop", f"resources.devices={devices}")
    model = f"stopping-{devices}"
    done = run_llmops(*DIVERGES, *EVALUATED, *asked, f"output.model={model}", cwd=starter)
    assert done.returncode == 0, done.stderr
    assert "training ends, the best checkpoint is kept" in done.stderr
    (made,) = Registry(ProjectPaths(starter)).versions(model)
    assert "of 100: instability: the loss rose from" in made.lineage.stopped
    assert "is the best and kept" in made.lineage.stopped
    again = run_llmops(*DIVERGES, *EVALUATED, *asked, f"output.model={model}", cwd=starter)
    assert f"up to date: {made.id}; {made.lineage.stopped}" in again.stderr


def head(project: Path, name: str, rows: slice) -> Path:
    """A data file with some of the town's questions and answers."""
    lines = (project / "recipes/data/town_sft.jsonl").read_text("utf-8").splitlines(keepends=True)
    (project / name).write_text("".join(lines[rows]), encoding="utf-8")
    return project / name


def by_heart(project: Path, model: str, steps: int, *more: str) -> str:
    """Train 48 questions and answers, over and over, from random weights; what was said."""
    few, others = (
        head(project, "few.jsonl", slice(48)),
        head(project, "others.jsonl", slice(900, 964)),
    )
    done = run_llmops(
        *("run", "recipes/sft.yaml", "base=town-base:v1", f"output.model={model}"),
        *(f"data.train.0.path={few}", f"data.validation=[{{path: {others}}}]"),
        *("args.per_device_train_batch_size=16", "args.learning_rate=3e-3", "args.logging_steps=1"),
        *("args.lr_scheduler_type=constant_with_warmup", f"args.max_steps={steps}", *more),
        cwd=project,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_what_is_learned_by_heart_is_stopped_and_its_best_kept(
    starter: Path, tiny_base: Path
) -> None:
    evaluated = ("args.eval_strategy=steps", "args.eval_steps=4")
    told = by_heart(starter, "hearty", 80, *evaluated, "watch.overfitting=stop")
    assert "overfitting: validation loss rose from" in told
    paths = ProjectPaths(starter)
    (made,) = Registry(paths).versions("hearty")
    assert made.lineage.run is not None
    lines = (paths.run(made.lineage.run).attempt("sft", 1).output / "trainer_log.jsonl").read_text()
    losses = {
        row["eval_loss"]: row["current_steps"]
        for row in map(json.loads, lines.splitlines())
        if "eval_loss" in row and row["current_steps"] % 4 == 0
    }
    assert made.lineage.stopped.endswith(f"; step {losses[min(losses)]} is the best and kept")
    assert losses[min(losses)] < max(losses.values()) < 80
    # The engine evaluates once more what it saves.
    assert made.metrics["eval_loss"] == pytest.approx(min(losses), rel=1e-4)


def test_dpo_that_unlearns_what_it_should_prefer_is_told(starter: Path, tiny_base: Path) -> None:
    by_heart(starter, "answering", 30, "args.eval_strategy=no")
    rows = [json.loads(line) for line in (starter / "few.jsonl").read_text("utf-8").splitlines()]
    worse = {"role": "assistant", "content": "Anyone there will say what they please."}
    pairs = [
        {"messages": [asked], "chosen": answer, "rejected": worse}
        for asked, answer in (row["messages"] for row in rows)
    ]
    (starter / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    asked = (f"data.train.0.path={starter / 'pairs.jsonl'}", "watch.collapse=fail")
    harsh = ("args.learning_rate=3e-2", "args.pref_ftx=0", "args.max_steps=24")
    done = run_llmops(
        *(
            "run",
            "recipes/dpo.yaml",
            "base=answering:v1",
            "output.model=harsh",
            "args.logging_steps=1",
        ),
        *(*asked, *harsh),
        cwd=starter,
    )
    assert done.returncode == 1
    assert (
        "stage dpo failed: collapse: the chosen answers' log-probability fell from" in done.stderr
    )


def test_pairs_from_which_nothing_is_learned_are_told(starter: Path, tiny_base: Path) -> None:
    done = run_llmops(
        *("run", "recipes/dpo.yaml", "base=town-base:v1", "output.model=idle"),
        *("args.learning_rate=1e-8", "args.max_steps=24", "args.logging_steps=1"),
        cwd=starter,
    )
    assert done.returncode == 0, done.stderr
    assert "no_preference: over the last 10 readings" in done.stderr


def test_a_series_has_gradients_and_memory(starter: Path, tiny_base: Path) -> None:
    few = ("args.max_steps=2", "output.model=measured")
    assert run_llmops(*DIVERGES, *few, cwd=starter).returncode == 0
    paths = ProjectPaths(starter)
    (made,) = Registry(paths).versions("measured")
    assert made.lineage.run is not None
    assert made.lineage.stopped == ""
    lines = paths.run(made.lineage.run).attempt("sft", 1).figures.read_text().splitlines()
    last = json.loads(lines[-1])
    assert (last["step"], last["grad_norm"] > 0) == (2, True)
    assert 100e6 < last["memory_bytes"] < 20e9
