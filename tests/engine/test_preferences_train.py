"""A DPO and a KTO round from what users said, through the whole product on the real engine; and TRL
itself on what `llmops preferences export --format trl` writes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.preferences.erasure import redact
from llmops.preferences.snapshot import Snapshot, find_snapshot
from llmops.registry.manifest import Manifest, SnapshotUsed
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops
from tests.fast.logged import write
from tests.fast.said import Said

pytestmark = pytest.mark.engine

PREFERENCES = """\
kind: preferences
deployment: street
builders: {BUILDERS}
layout: LAYOUT
holdout: 0.2
output: {preferences: STAGE}
"""
ROUND = """\
kind: train
stage: STAGE
base: "town-base:v1"
data: {train: ["preferences:STAGE"], validation: ["preferences:STAGE"]}
args:
  lora_rank: 4
  cutoff_len: 64
  per_device_train_batch_size: 4
  max_steps: 3
  logging_steps: 1
  eval_strategy: "no"
  flash_attn: sdpa
  disable_gradient_checkpointing: true
output: {model: STAGE}
"""
PIPELINE = """\
name: round
stages:
  pairs: {recipe: pairs.yaml}
  train: {recipe: train.yaml}
"""
TRL = """\
import sys
import llamafactory.extras.packages  # mends what TRL asks of this transformers
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
import trl

kind, base, folder, out = sys.argv[1:]
files = {"train": f"{folder}/train.jsonl", "test": f"{folder}/test.jsonl"}
data = load_dataset("json", data_files=files, cache_dir=f"{out}/cache")
assert trl.data_utils.is_conversational(data["train"][0]), data["train"][0]
config, trainer = (
    (trl.DPOConfig, trl.DPOTrainer) if kind == "dpo" else (trl.KTOConfig, trl.KTOTrainer)
)
options = config(
    output_dir=out, max_steps=1, use_cpu=True, report_to="none", save_strategy="no",
    per_device_train_batch_size=2, eval_strategy="steps", eval_steps=1,
)
model = AutoModelForCausalLM.from_pretrained(base)
model.warnings_issued = {}  # transformers 5 has none, and TRL 0.24 writes to it
made = trainer(
    model=model,
    args=options,
    train_dataset=data["train"],
    eval_dataset=data["test"],
    processing_class=AutoTokenizer.from_pretrained(base),
)
made.train()
print("columns", *sorted(data["train"].column_names))
print("rows", len(data["train"]), len(data["test"]))
"""


@pytest.fixture(scope="module")
def street(starter: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the tiny base, and a log of a deployment of its own."""
    folder = tmp_path_factory.mktemp("street") / "project"
    # The other tests' log, and their server's sockets, which cannot be copied.
    theirs = ("journal", "llmops.db*", "preferences", "runs", "cache", "serving")
    shutil.copytree(starter, folder, ignore=shutil.ignore_patterns(*theirs))
    said = Said()
    for number in range(40):
        prompt, user = f"Which tree stands at number {number}?", f"user {number}"
        short, long = said.ask(prompt, "An elm.", user), said.ask(prompt, "I think an elm.", user)
        said.vote(short, long, "first", user)
        said.thumb(short, True, user)
        said.thumb(long, False, user)
    write(ProjectPaths(folder), [{**record, "deployment": "street"} for record in said.records])
    return folder


def turned(street: Path, stage: str, layout: str, builders: str) -> tuple[Snapshot, Manifest]:
    """Run a round in a folder of its own; the snapshot and the version."""
    folder = street / stage
    folder.mkdir(exist_ok=True)
    for name, text in (("pairs", PREFERENCES), ("train", ROUND), ("round", PIPELINE)):
        text = text.replace("STAGE", stage).replace("LAYOUT", layout).replace("BUILDERS", builders)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    done = run_llmops("run", f"{stage}/round.yaml", cwd=street)
    assert done.returncode == 0, done.stderr
    paths = ProjectPaths(street)
    return find_snapshot(stage, paths), Registry(paths).versions(stage)[-1]


@pytest.fixture(scope="module")
def dpo(street: Path) -> tuple[Snapshot, Manifest]:
    return turned(street, "dpo", "pairs", "votes: {}")


@pytest.fixture(scope="module")
def kto(street: Path) -> tuple[Snapshot, Manifest]:
    return turned(street, "kto", "unpaired", "thumbs: {}")


@pytest.mark.parametrize("stage", ["dpo", "kto"])
def test_a_round_trains_on_what_users_said(
    stage: str, street: Path, request: pytest.FixtureRequest
) -> None:
    snapshot, version = request.getfixturevalue(stage)
    (data,) = version.lineage.data
    assert street / data.path == snapshot.train
    assert data.sha256 == snapshot.manifest.files["train.jsonl"]
    assert data.samples == snapshot.counts["train"] > 20
    assert version.lineage.preferences == [SnapshotUsed(id=snapshot.id, digest=snapshot.digest)]
    attempt = ProjectPaths(street).run(version.lineage.run).attempt("train", 1)
    log = attempt.log.read_text(encoding="utf-8")
    assert "Which tree stands at number" in log
    assert "An elm." in log or "I think an elm." in log
    assert "Dropped invalid example" not in log
    assert version.metrics["train_loss"] > 0


def test_a_round_that_is_up_to_date_is_not_run_again(
    street: Path, dpo: tuple[Snapshot, Manifest]
) -> None:
    done = run_llmops("run", "dpo/round.yaml", cwd=street)
    assert done.stdout == "pairs\treused\tpreferences:dpo@1\ntrain\treused\tdpo:v1\n"


def test_a_version_keeps_no_words_of_users(dpo: tuple[Snapshot, Manifest]) -> None:
    _, version = dpo
    assert version.golden
    assert "Which tree stands" not in version.model_dump_json()


@pytest.mark.parametrize("stage", ["dpo", "kto"])
def test_trl_trains_on_what_is_exported(
    stage: str,
    street: Path,
    tiny_base: Path,
    llamafactory: Environment,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    snapshot, _ = request.getfixturevalue(stage)
    out = tmp_path / "pairs"
    done = run_llmops("preferences", "export", stage, "--format", "trl", "-o", out, cwd=street)
    assert done.returncode == 0, done.stderr
    script = tmp_path / "trl_train.py"
    script.write_text(TRL, encoding="utf-8")
    ran = subprocess.run(
        [llamafactory.python, script, stage, tiny_base, out, tmp_path / "out"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    counts = snapshot.counts
    assert f"rows {counts['train']} {counts['holdout']}" in ran.stdout
    assert (
        "columns chosen prompt rejected" if stage == "dpo" else "columns completion label prompt"
    ) in ran.stdout


def test_forgetting_reaches_the_snapshot_and_the_log_of_its_training(
    street: Path, dpo: tuple[Snapshot, Manifest]
) -> None:
    snapshot, version = dpo
    after = redact(snapshot, ["event-0"])
    assert sum(after.counts.values()) == sum(snapshot.counts.values()) - 1
    attempt = ProjectPaths(street).run(version.lineage.run).attempt("train", 1)
    assert "Which tree stands" not in attempt.log.read_text(encoding="utf-8")
    done = run_llmops("plan", "dpo/train.yaml", cwd=street)
    assert "1 to run" in done.stdout
    assert "why: data.validation: preferences:dpo@1 changed" in done.stdout
