"""Evaluation on the real engines: the town's versions, and one that was trained to pieces, asked
through the running vLLM, which loads them while it serves."""

import json
import subprocess
from pathlib import Path

import pytest

from llmops.evaluation.report import read, read_items
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.store import Registry
from llmops.serving.supervisor import Supervisor
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops

pytestmark = pytest.mark.engine

DESTROYING = (
    *("base=town:v1", "args.learning_rate=5e-3", "args.pref_ftx=0.0", "args.max_steps=60"),
    "output.model=broken",
)
PIPELINE = """\
name: broken
stages:
  check: {recipe: recipes/eval.yaml, model: "broken:v1", baseline: "town:v1"}
  offer: {promote: "broken:v1", to: candidate, when: "stage:check"}
"""
GUIDE = """\
name: guide
items: items.jsonl
metrics:
  likely: {perplexity: "{text}"}
"""


def newest(root: Path, name: str) -> Evidence:
    """The newest evaluation: the loop has left experiments too."""
    known = EvidenceLog(ProjectPaths(root)).of(name)
    return [evidence for evidence in known if evidence.kind == "evaluation"][-1]


@pytest.fixture(scope="module")
def served(town_project: Path, town_server: Supervisor) -> Path:
    """The town, with its server running and broken:v1 in its registry."""
    done = run_llmops("run", "recipes/dpo.yaml", *DESTROYING, cwd=town_project)
    assert done.returncode == 0, done.stderr
    return town_project


@pytest.fixture(scope="module")
def passed(served: Path) -> "subprocess.CompletedProcess[str]":
    return run_llmops("run", "recipes/eval.yaml", "model=town:v2", "baseline=town:v1", cwd=served)


def test_dpo_passes_the_towns_gate(
    served: Path, passed: "subprocess.CompletedProcess[str]"
) -> None:
    assert passed.returncode == 0, passed.stderr
    report = read(served / str(newest(served, "town").file))
    correct, terse = report["metrics"]
    assert report["passed"]
    assert correct["difference"]["low"] > -0.1
    assert terse["difference"]["estimate"] > 0.3
    assert report["backend"].startswith("vllm")


def test_the_same_again_asks_nothing(
    served: Path, passed: "subprocess.CompletedProcess[str]"
) -> None:
    before = len(EvidenceLog(ProjectPaths(served)).of("town"))
    again = run_llmops("run", "recipes/eval.yaml", "model=town:v2", "baseline=town:v1", cwd=served)
    assert "eval\treused\tevidence:town:v2/" in again.stdout
    assert len(EvidenceLog(ProjectPaths(served)).of("town")) == before


def test_a_version_trained_to_pieces_is_refused(served: Path) -> None:
    """It is terser than its baseline: the other requirement holds it back."""
    (served / "broken.yaml").write_text(PIPELINE, encoding="utf-8")
    done = run_llmops("run", "broken.yaml", cwd=served)
    assert done.returncode == 3
    assert "broken:v1 does not become candidate: town.correct is to be worse by less" in done.stderr
    assert Registry(ProjectPaths(served)).aliases("broken") == {}
    report = read(served / str(newest(served, "broken").file))
    correct, terse = report["metrics"]
    assert not report["gate"][0]["passed"]
    assert correct["version"]["estimate"] < 0.1
    assert terse["version"]["estimate"] > 0.5


def test_each_answer_can_be_looked_up(served: Path) -> None:
    items = read_items(served / str(newest(served, "broken").file))
    assert len(items) == 288
    assert sum(item["baseline_values"]["correct"] for item in items) > 200
    assert not any(item["answer"] == item["baseline_answer"] for item in items)


def test_perplexity_tells_the_guide_from_its_words_in_disorder(served: Path) -> None:
    """Sentences that training saw, and the same words sorted, by the version that read them."""
    lines = (served / "recipes/data/town_cpt.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[:40]]
    found = []
    for name, shown in (("told", texts), ("sorted", [" ".join(sorted(t.split())) for t in texts])):
        rows = [json.dumps({"id": n, "text": text}) for n, text in enumerate(shown)]
        (served / "items.jsonl").write_text("\n".join(rows), encoding="utf-8")
        (served / "guide.yaml").write_text(GUIDE.replace("guide", name), encoding="utf-8")
        run = ("eval", "run", "guide.yaml", "--model", "town:v1")
        done = run_llmops(*run, "--through", "serving/town.yaml", "--json", cwd=served)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout)["metrics"][0]["version"]["estimate"])
    assert 0 < found[0] < found[1] - 1
