"""What `watch:` does about a training that goes wrong: a process of its own stands for the engine,
writing what the worker and LLaMA-Factory write."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.contract import Command, ModelFiles, Progress
from llmops.engines.llamafactory.defaults import default_options
from llmops.engines.llamafactory.engine import LlamaFactory
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.watch import BEST, check_watch
from llmops.errors import BadInput, Failed
from llmops.runner.alarm import Alarm
from llmops.runner.stage import Attempt, Node
from llmops.stages.engine_run import run_engine
from llmops.store.run_paths import AttemptPaths
from tests.training_jobs import LAYOUT_ROWS, train_job, train_recipe, write_rows

EVALUATED = {"eval_strategy": "steps", "eval_steps": 10}
DIVERGES = """
import json, pathlib, sys, time
root = pathlib.Path(sys.argv[1])
(root / "output").mkdir()
step = {"current_steps": 5, "total_steps": 100, "loss": float("nan"), "lr": 1e-3}
(root / "output" / "trainer_log.jsonl").write_text(json.dumps(step) + "\\n")
while not (root / "stop.json").exists() and "wait" in sys.argv:
    time.sleep(0.01)
sys.exit(7)
"""


def diverging(
    folder: Path, reaction: str, *more: str, record: list[tuple[str, int, str]] | None = None
) -> tuple[list[Progress], AttemptPaths, str]:
    """What is reported of a training whose loss is no number, and how it failed. record: takes
    what is put on record, and the reaction."""
    kept = [] if record is None else record

    def alarm(seen: Alarm, reaction: str) -> None:
        kept.append((seen.kind, seen.step, reaction))

    recipe = train_recipe(folder, "sft", watch={"instability": reaction})
    paths, told = AttemptPaths(folder / "attempt"), list[Progress]()
    paths.root.mkdir()
    node = Node("sft", "train", recipe, recipe.spec)
    attempt = Attempt("run-1", node, 1, paths, told.append, alarm=alarm)
    command = Command([sys.executable, "-c", DIVERGES, str(paths.root), *more], {}, {})
    with pytest.raises(Failed) as caught:
        run_engine(command, LlamaFactory(), attempt)
    return told, paths, caught.value.what


def warnings(told: list[Progress]) -> list[str]:
    return [progress.warning for progress in told if progress.warning]


def test_to_warn_is_to_say_so_and_go_on(tmp_path: Path) -> None:
    told, paths, why = diverging(tmp_path, "warn")
    assert warnings(told) == ["step 5: instability: the loss is nan"]
    assert "exit code 7" in why
    assert not paths.stop.exists()


def test_off_is_off(tmp_path: Path) -> None:
    told, _, _ = diverging(tmp_path, "off")
    assert warnings(told) == []


def test_to_stop_is_to_ask_the_engine(tmp_path: Path) -> None:
    told, paths, why = diverging(tmp_path, "stop", "wait")
    assert "the best checkpoint is kept" in warnings(told)[0]
    assert json.loads(paths.stop.read_text())["kind"] == "instability"
    assert "exit code 7" in why  # it heard


def test_to_fail_is_to_end_it_and_to_say_why(tmp_path: Path) -> None:
    _, paths, why = diverging(tmp_path, "fail", "wait")
    assert why == (
        "stage sft failed: instability: the loss is nan at step 5 (`watch: {instability: fail}`)"
    )
    assert paths.stop.exists()


@pytest.mark.parametrize("reaction", ["warn", "stop", "fail"])
def test_what_is_seen_is_put_on_record_with_the_reaction(reaction: str, tmp_path: Path) -> None:
    record: list[tuple[str, int, str]] = []
    more = [] if reaction == "warn" else ["wait"]
    diverging(tmp_path, reaction, *more, record=record)
    assert record == [("instability", 5, reaction)]


def test_what_is_looked_away_from_is_not(tmp_path: Path) -> None:
    record: list[tuple[str, int, str]] = []
    diverging(tmp_path, "off", record=record)
    assert record == []


def test_a_stop_needs_an_evaluation(tmp_path: Path) -> None:
    recipe = train_recipe(tmp_path, "sft", EVALUATED, watch={"collapse": "stop"})
    with pytest.raises(BadInput, match="which only an evaluation tells") as caught:
        check_watch(recipe)
    assert "sft.yaml:6" in str(caught.value.where)
    silent = train_recipe(tmp_path, "sft", validation=0.1, watch={"collapse": "stop"})
    with pytest.raises(BadInput, match="which only an evaluation tells"):
        check_watch(silent)
    check_watch(
        train_recipe(tmp_path, "sft", EVALUATED, validation=0.1, watch={"collapse": "stop"})
    )


def test_a_reward_model_has_no_best_checkpoint(tmp_path: Path) -> None:
    watch = {"instability": "stop"}
    recipe = train_recipe(tmp_path, "rm", EVALUATED, validation=0.1, watch=watch)
    with pytest.raises(BadInput, match="which stage rm cannot load"):
        check_watch(recipe)


def test_a_stop_needs_more_than_weights_under_deepspeed(tmp_path: Path) -> None:
    asked = {**EVALUATED, "save_only_model": True}
    watch = {"instability": "stop"}
    check_watch(train_recipe(tmp_path, "sft", asked, validation=0.1, watch=watch))
    asked["deepspeed"] = "zero.json"
    with pytest.raises(BadInput, match="do not load from weights alone"):
        check_watch(train_recipe(tmp_path, "sft", asked, validation=0.1, watch=watch))


def test_a_stop_needs_one_loss_of_all_validation_data(tmp_path: Path) -> None:
    asked = {**EVALUATED, "eval_on_each_dataset": True}
    files = [{"path": "b.jsonl"}]
    recipe = train_recipe(tmp_path, "sft", asked, validation=files, watch={"collapse": "stop"})
    with pytest.raises(BadInput, match="`eval_on_each_dataset` measures none of all"):
        check_watch(recipe)
    check_watch(train_recipe(tmp_path, "sft", asked, validation=0.1, watch={"collapse": "stop"}))


@pytest.mark.parametrize("saving", [{"save_steps": 10}, {"save_strategy": "no"}])
def test_a_stop_needs_the_best_checkpoint(saving: dict[str, Any], tmp_path: Path) -> None:
    watch = {"overfitting": "stop"}
    own = train_recipe(tmp_path, "sft", EVALUATED | saving, validation=0.1, watch=watch)
    with pytest.raises(BadInput, match="keeps none"):
        check_watch(own)
    best = EVALUATED | saving | {"load_best_model_at_end": True}
    check_watch(train_recipe(tmp_path, "sft", best, validation=0.1, watch=watch))


def test_what_may_be_stopped_saves_the_best(tmp_path: Path) -> None:
    _, file, rows = LAYOUT_ROWS["messages"]
    data = write_rows(tmp_path / file, rows)
    for reaction, strategy in (("warn", "no"), ("stop", "best")):
        recipe = train_recipe(tmp_path, data=data, watch={"overfitting": reaction})
        job = train_job(recipe, ModelFiles(tmp_path), tmp_path / "attempt")
        options = default_options(job, Machine(2))
        assert options["save_strategy"] == strategy
        assert (BEST.items() <= options.items()) is (reaction == "stop")
    assert (BEST["save_total_limit"], BEST["metric_for_best_model"]) == (1, "eval_loss")
