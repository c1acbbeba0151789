"""How two runs differ, by the files that they left."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import NotFound
from llmops.registry.manifest import DataUsed, Draft, Lineage
from llmops.registry.store import Registry
from llmops.runner.compare import compare
from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.store.atomic import write_json
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.copying_stage import tiny_model


def ran(root: Path, rate: str = "1.0e-3", overrides: tuple[str, ...] = ()) -> RunLog:
    """A run with one stage that has not ended."""
    stages = [StageRecord(name="sft", kind="train", declared="d" * 64)]
    log = RunLog.begin(ProjectPaths(root), "p", "p.yaml", list(overrides), stages)
    files = {"config.yaml": f"learning_rate: {rate}\nseed: 1\n"}
    inputs = {"base": {"id": "town:v1", "digest": "e" * 64}}
    stage = {"stage": "sft", "inputs": inputs, "command": {"files": files}}
    write_json(log.paths.plan, {"stages": [stage]})
    return log


def made(root: Path, log: RunLog, loss: float, rows: int, **metrics: float) -> None:
    """End it with a version."""
    lineage = Lineage(stage="sft", data=[DataUsed(path="a.jsonl", sha256="f" * 64, samples=rows)])
    draft = Draft(
        name="town", kind="full", stage="sft", metrics={"loss": loss, **metrics}, lineage=lineage
    )
    version = Registry(ProjectPaths(root)).add(draft, tiny_model(root / log.record.id, "t"))
    log.stage("sft", "done", output=str(version.id), digest=version.digest)


def differences(root: Path, a: RunLog, b: RunLog) -> dict[str, tuple[Any, Any]]:
    found = compare(ProjectPaths(root), a.record.id, b.record.id)
    return {one["key"]: (one["a"], one["b"]) for one in found["differences"]}


def test_runs_of_the_same_thing_do_not_differ(tmp_path: Path) -> None:
    assert differences(tmp_path, ran(tmp_path), ran(tmp_path)) == {}


def test_overrides_and_options_differ_by_name(tmp_path: Path) -> None:
    changed = ran(tmp_path, "1.0e-4", ("args.learning_rate=1e-4",))
    assert differences(tmp_path, ran(tmp_path), changed) == {
        "args.learning_rate": (None, "1e-4"),
        "sft.options.learning_rate": (1e-3, 1e-4),
    }


def test_versions_tell_their_data_and_figures(tmp_path: Path) -> None:
    one, other = ran(tmp_path), ran(tmp_path)
    made(tmp_path, one, 2.0, 10)
    made(tmp_path, other, 1.5, 12)
    found = differences(tmp_path, one, other)
    assert found["sft.output"] == ("town:v1", "town:v2")
    assert found["sft.figures.loss"] == (2.0, 1.5)
    assert found["sft.data.a.jsonl"][1] == "12 samples, ffffffffffff"


def test_of_a_run_that_failed_its_end_and_last_loss(tmp_path: Path) -> None:
    one, other = ran(tmp_path), ran(tmp_path)
    made(tmp_path, one, 2.0, 10)
    other.stage("sft", "running", attempt=1)
    output = other.paths.attempt("sft", 1).output
    output.mkdir(parents=True)
    lines = [{"current_steps": at, "total_steps": 20, "loss": at / 2} for at in (6, 7)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (output / "trainer_log.jsonl").write_text(text, encoding="utf-8")
    other.stage("sft", "failed", error="out of memory")
    found = differences(tmp_path, one, other)
    assert found["sft.error"] == (None, "out of memory")
    assert found["sft.figures.loss"] == (2.0, 3.5)
    assert found["sft.figures.step"] == (None, 7)


def test_an_input_that_was_pending_is_what_the_run_made(tmp_path: Path) -> None:
    one, other = ran(tmp_path), ran(tmp_path)
    for log in (one, other):
        pending = {"stage": "dpo", "inputs": {"base": {"pending": "sft"}}}
        write_json(log.paths.plan, {"stages": [pending]})
        log.record.stages.append(StageRecord(name="dpo", kind="train"))
        log.stage("dpo", "waiting")
    made(tmp_path, one, 2.0, 10)
    assert differences(tmp_path, one, other)["dpo.base"][1] == "to come ()"
    assert str(differences(tmp_path, one, other)["dpo.base"][0]).startswith("town:v1 (")


def test_a_stage_that_only_one_has_is_told_in_a_word(tmp_path: Path) -> None:
    one, other = ran(tmp_path), ran(tmp_path)
    other.record.stages.append(StageRecord(name="dpo", kind="train"))
    other.stage("dpo", "done", output="town:v2")
    assert differences(tmp_path, one, other) == {
        "dpo.state": (None, "done"),
        "dpo.output": (None, "town:v2"),
    }


def test_overrides_of_both_come_before_the_stages(tmp_path: Path) -> None:
    one, other = ran(tmp_path, "1.0e-4", ("a=1",)), ran(tmp_path, "1.0e-5", ("b=2",))
    assert list(differences(tmp_path, one, other)) == ["a", "b", "sft.options.learning_rate"]


def test_how_fast_it_was_is_told_once(tmp_path: Path) -> None:
    one, other = ran(tmp_path), ran(tmp_path)
    for log, speed in ((one, 1.0), (other, 2.0)):
        made(tmp_path, log, 2.0, 10, train_runtime=speed, eval_samples_per_second=speed)
    assert list(differences(tmp_path, one, other)) == ["sft.output"]


def test_the_command_tells_it_in_short(project: Path, llmops: Llmops) -> None:
    one, other = ran(project), ran(project)
    same = llmops("runs", "diff", one.record.id, one.record.id)
    assert (same.stdout, "do not differ" in same.stderr) == ("", True)
    made(project, one, 0.17148998379707336, 10)
    made(project, other, 1.5, 12)
    assert "0.17149 " in llmops("runs", "diff", one.record.id).stdout


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        compare(ProjectPaths(tmp_path), ran(tmp_path).record.id, "never")
