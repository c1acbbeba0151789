"""`llmops up` on the town, nobody touching it: simulated users rate, the trigger on new pairs
fires, the round trains on the real LLaMA-Factory, its gate passes, the real vLLM takes the new
version in, users prefer it, and it is in production."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.registry.evidence import EvidenceLog
from llmops.registry.store import Registry
from llmops.runner.record import RunRecord, list_runs
from llmops.serving.state import read_state
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops
from tests.processes import end_of, members
from tests.waiting import until

pytestmark = pytest.mark.engine
SECONDS = 900.0
NEW_PAIRS = 60


@dataclass
class Town:
    """root: the project; process: its `llmops up`; made: the number of the version that comes."""

    root: Path
    process: "subprocess.Popen[bytes]"
    made: int

    @property
    def paths(self) -> ProjectPaths:
        return ProjectPaths(self.root)

    @property
    def new(self) -> str:
        return f"town:v{self.made}"

    def answered_by(self, variant: str) -> str:
        """The version that answers as a variant now."""
        state = read_state(self.paths.deployment("town"))
        if state is None or state.status != "ready":
            return ""
        body = {"model": variant, "messages": [{"role": "user", "content": "Which river?"}]}
        with state.endpoint.client(timeout=60) as client:
            answer = client.post("/v1/chat/completions", json={**body, "max_tokens": 8})
        return str(answer.json().get("model", "")) if answer.is_success else ""

    def users(self, recipe: str, *overrides: str) -> None:
        """Simulated ones come, as people would: through the gateway."""
        done = run_llmops("run", recipe, *overrides, cwd=self.root, timeout=SECONDS)
        assert done.returncode == 0, done.stderr

    def rounds(self) -> list[RunRecord]:
        return [run for run in list_runs(self.paths) if run.by == "schedule:weekly/feedback"]

    def control(self, path: str) -> Any:
        told = json.loads(self.paths.part("control").read_text("utf-8"))
        return httpx.get(told["url"] + path, trust_env=False, timeout=30).json()

    def until(self, what: Any) -> Any:
        return until(what, SECONDS, self.process)


@pytest.fixture(scope="module")
def town(up_project: Path) -> Iterator[Town]:
    """The town after its first turn, all of it up; the trigger asks for fewer pairs."""
    root = up_project
    pipeline = root / "pipelines" / "weekly.yaml"
    text = pipeline.read_text("utf-8")
    assert "new_pairs: 200" in text
    pipeline.write_text(text.replace("new_pairs: 200", f"new_pairs: {NEW_PAIRS}"), "utf-8")
    made = len(Registry(ProjectPaths(root)).versions("town")) + 1
    argv = [sys.executable, "-m", "llmops", "up", "pipelines/weekly.yaml", "serving/town.yaml"]
    argv += [f"--{part}-port=0" for part in ("control", "ui", "tensorboard")]
    with (root.parent / "up.log").open("wb") as log:
        process = subprocess.Popen(
            argv, cwd=root, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    found = Town(root, process, made)
    try:
        found.until(lambda: found.answered_by("town"))
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        assert end_of(members(process.pid)) == []


def test_the_loop_turns_by_itself(town: Town) -> None:
    town.users("recipes/simulate.yaml", "visits=400", "seed=7")
    town.until(lambda: town.answered_by("candidate") == town.new)
    town.users("recipes/trial.yaml", "seed=8")
    town.until(lambda: Registry(town.paths).aliases("town")["production"] == town.made)
    town.until(lambda: town.answered_by("control") == town.new)
    passed = [piece.kind for piece in EvidenceLog(town.paths).of("town", town.new) if piece.passed]
    assert passed == ["evaluation", "experiment"]


def test_one_firing_made_one_run(town: Town) -> None:
    """New pairs that came while it ran held the trigger back, on record."""
    fired = town.control("/schedules/weekly/feedback/history")["items"]
    started = [one["job"] for one in fired if one["outcome"] == "started"]
    assert [run.id for run in town.rounds()] == started
    assert len(started) == 1


def test_the_run_ended_well(town: Town) -> None:
    town.until(lambda: town.rounds()[0].state == "done")
    made = {stage.name: stage.output for stage in town.rounds()[0].stages}
    assert made["dpo"] == town.new
