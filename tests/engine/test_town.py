"""The demo's promise, on the real engines: what SFT and DPO make of the held-out questions."""

import json
from pathlib import Path

import pytest

from demo.town import Score, score_texts
from llmops.registry.store import Registry
from llmops.serving.client import ask
from llmops.serving.supervisor import Supervisor
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def scores(town_project: Path, town_server: Supervisor) -> tuple[Score, Score]:
    """What the SFT and the DPO version make of the questions, through the server."""
    file = town_project / "recipes" / "data" / "town_questions.jsonl"
    items = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    prompts = [item["prompt"] for item in items]
    both = []
    for variant in ("control", "candidate"):
        version = town_server.variants[variant]
        answers = ask(town_server.endpoint, version, prompts, max_tokens=48)
        both.append(score_texts(items, version, [answer.text.strip() for answer in answers]))
    return both[0], both[1]


def test_sft_answers_most_questions_correctly(scores: tuple[Score, Score]) -> None:
    before, _ = scores
    assert len(before.answers) >= 200
    assert before.correct >= 0.80
    assert 0.30 <= before.terse <= 0.70


def test_dpo_makes_answers_terse_and_keeps_them_correct(scores: tuple[Score, Score]) -> None:
    before, after = scores
    assert after.terse >= 0.90
    assert after.correct >= before.correct - 0.05


def test_no_held_out_question_is_in_the_training_data(town_project: Path) -> None:
    data = town_project / "recipes" / "data"
    lines = (data / "town_questions.jsonl").read_text(encoding="utf-8").splitlines()
    trained = "".join(
        (data / f"town_{name}.jsonl").read_text(encoding="utf-8") for name in ("cpt", "sft", "dpo")
    )
    assert not [line for line in lines if json.loads(line)["prompt"] in trained]


def test_the_pipeline_registers_and_promotes(town_project: Path) -> None:
    registry = Registry(ProjectPaths(town_project))
    assert registry.aliases("town") == {"production": 1, "candidate": 2}
    sft, dpo = registry.versions("town")
    assert (sft.kind, dpo.kind) == ("full", "adapter")
    assert dpo.base == "town:v1"


def test_a_second_run_of_the_pipeline_makes_nothing(town_project: Path) -> None:
    done = run_llmops("run", "pipelines/town.yaml", cwd=town_project)
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
