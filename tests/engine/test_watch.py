"""A training that diverges on the real engine, and what the recipe's `watch:` does about it."""

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
