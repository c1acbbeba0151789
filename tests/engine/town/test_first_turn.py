"""The town as the first turn of the loop leaves it: what its data hold, what was registered, and a
round on an adapter."""

import json
from pathlib import Path

import pytest

from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops

pytestmark = pytest.mark.engine


def test_no_held_out_question_is_in_the_training_data(town_project: Path) -> None:
    data = town_project / "recipes" / "data"
    lines = (data / "town_questions.jsonl").read_text(encoding="utf-8").splitlines()
    trained = "".join(
        (data / f"town_{name}.jsonl").read_text(encoding="utf-8")
        for name in ("cpt", "sft", "dpo", "prompts")
    )
    assert len(lines) >= 200
    assert not [line for line in lines if json.loads(line)["prompt"] in trained]


def test_the_pipeline_registers_and_promotes(town_project: Path) -> None:
    registry = Registry(ProjectPaths(town_project))
    assert registry.aliases("town") == {"anchor": 1, "production": 1, "candidate": 2}
    sft, dpo = registry.versions("town")[:2]
    assert (sft.kind, dpo.kind) == ("full", "adapter")
    assert dpo.base == "town:v1"


def test_what_is_up_to_date_is_not_trained_again(town_project: Path) -> None:
    done = run_llmops("run", "recipes/sft.yaml", cwd=town_project)
    assert done.returncode == 0
    assert {line.split("\t")[1] for line in done.stdout.splitlines()} == {"reused"}


def test_a_round_on_an_adapter_is_one_adapter_on_the_first_base(town_project: Path) -> None:
    few = ("args.max_steps=2", "args.warmup_steps=0", "args.logging_steps=1", "args.pref_ftx=0.0")
    recipe = ("run", "recipes/dpo.yaml", "base=town@candidate", "output.model=second", *few)
    done = run_llmops(*recipe, cwd=town_project)
    assert done.returncode == 0, done.stderr
    version = Registry(ProjectPaths(town_project)).versions("second")[0]
    assert (version.base, version.lineage.parent) == ("town:v1", "town:v2")
    assert (version.kind, version.lora_rank) == ("adapter", 16)
    run = ProjectPaths(town_project).run(str(version.lineage.run)).attempt("dpo", 1)
    first = (run.output / "trainer_log.jsonl").read_text(encoding="utf-8").splitlines()[0]
    # ln 2: the reference is the version it starts from, and not the bare base.
    assert json.loads(first)["loss"] == pytest.approx(0.6931, abs=1e-3)


def test_the_shipped_data_is_what_its_script_makes(tmp_path: Path, town_project: Path) -> None:
    from runpy import run_path

    data = town_project / "recipes" / "data"
    made = run_path(str(data / "make_town.py"))["write_town"](tmp_path)
    for file in made:
        assert file.read_bytes() == (data / file.name).read_bytes()
