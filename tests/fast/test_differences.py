"""What a plan says has changed since a version was made, with the real kind of stage `train`."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llmops.registry.manifest import DataUsed, Draft, Lineage
from llmops.runner.fingerprint import fingerprint
from llmops.runner.plan import make_plan
from llmops.runner.stage import Context
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from tests.conftest import ROOT
from tests.fast.copying_stage import tiny_model

RECIPE = """\
kind: train
stage: cpt
base: town:v1
data: {train: ["path:a.jsonl"], validation: ["path:b.jsonl"]}
args:
  learning_rate: 5.0e-4
  lr_scheduler_type: polynomial
  lr_scheduler_kwargs: {lr_end: 1.0e-7, power: 2}
output: {model: town}
"""


@pytest.fixture
def project(project: Path) -> Path:
    for fill in ("a", "b"):
        tiny_model(project / f"seed-{fill}", fill)
        context().registry.add(
            Draft(name="town", kind="full", stage="sft"), project / f"seed-{fill}"
        )
        write(project / f"{fill}.jsonl", 3)
    (project / "r.yaml").write_text(RECIPE, encoding="utf-8")
    stage = planned()
    parts = stage.prepared.parts
    lineage = Lineage(
        stage="r",
        recipe="r.yaml",
        resolved=stage.node.declared.source.data,
        parent="town:v1",
        data=[DataUsed(path="a.jsonl", sha256=parts["data.train.0"], samples=3)],
    )
    made = {"fingerprint": fingerprint(parts), "parts": parts, "lineage": lineage}
    context().registry.add(Draft(name="town", kind="full", stage="cpt", **made), project / "seed-a")
    assert planned().state == "reuse"
    return project


def context() -> Context:
    return Context(load_settings())


def write(file: Path, rows: int) -> None:
    file.write_text(f"{json.dumps({'text': file.stem})}\n" * rows, encoding="utf-8")


def planned(*overrides: str) -> Any:
    return make_plan(Path("r.yaml"), overrides, context=context(), kinds=KINDS).stages[-1]


def reasons(*overrides: str) -> list[str]:
    return [why for why in planned(*overrides).reasons if "not installed" not in why]


def test_an_option_is_told_with_both_values(project: Path) -> None:
    assert reasons("args.learning_rate=1e-3") == ["args.learning_rate: 0.0005 -> 0.001"]


def test_of_a_nested_option_the_key_that_changed(project: Path) -> None:
    told = reasons("args.lr_scheduler_kwargs.power=3")
    assert told == ["args.lr_scheduler_kwargs.power: 2 -> 3"]


def test_data_that_grew_is_told_by_its_rows(project: Path) -> None:
    write(project / "a.jsonl", 1234)
    assert reasons() == ["data: a.jsonl changed (3 -> 1,234 rows)"]


def test_other_data_is_told_by_its_name(project: Path) -> None:
    write(project / "c.jsonl", 4)
    assert reasons("data.train.0=path:c.jsonl") == ["data: a.jsonl (3 rows) -> c.jsonl (4 rows)"]


def test_validation_data_is_told_by_its_name(project: Path) -> None:
    write(project / "b.jsonl", 4)
    assert reasons() == ["data.validation: b.jsonl changed (4 rows)"]


def test_another_base_is_told_by_its_name(project: Path) -> None:
    assert reasons("base=town:v2") == ["base: town:v1 -> town:v2"]


def test_more_data_is_new(project: Path) -> None:
    told = reasons('data.train=["path:a.jsonl", "path:b.jsonl"]')
    assert told[0] == "data: new, b.jsonl (3 rows)"


def test_a_base_says_which_part_of_its_making_changed(project: Path) -> None:
    shutil.copytree(ROOT / "recipes" / "data", project / "data")
    shutil.copy(ROOT / "recipes" / "base.yaml", project)

    def stage(*overrides: str) -> Any:
        return make_plan(Path("base.yaml"), overrides, context=context(), kinds=KINDS).stages[-1]

    made = stage()
    parts, resolved = made.prepared.parts, made.node.declared.source.data
    lineage = Lineage(stage="base", recipe="base.yaml", resolved=resolved)
    kept = {"fingerprint": fingerprint(parts), "parts": parts, "lineage": lineage}
    name = made.node.spec.output.model
    context().registry.add(Draft(name=name, kind="full", stage="base", **kept), project / "seed-a")
    assert stage().state == "reuse"
    changed = stage("architecture.hidden_size=96", "tokenizer.vocab_size=512", "seed=7")
    found = [why.partition(":")[0] for why in changed.reasons if "not installed" not in why]
    assert found == ["architecture.hidden_size", "seed", "tokenizer.vocab_size"]
