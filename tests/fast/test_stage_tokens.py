"""Tokenized data around a training: taken, or kept when it was made of what was planned. What the
engine leaves is written here as it leaves it (tests/engine/test_tokens.py has the real one)."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llmops.data.tokenized import DATA
from llmops.engines.contract import Environment, ModelFiles, Progress, TrainJob
from llmops.engines.llamafactory.compile import compile_train
from llmops.engines.llamafactory.machine import Machine
from llmops.errors import Failed
from llmops.runner.stage import Attempt, Context, Node
from llmops.spec.settings import load_settings
from llmops.stages.tokens import Tokens, cached, tokens_key
from tests.fast.models_on_disk import write_full
from tests.training_jobs import LAYOUT_ROWS, bare_environment, train_job, train_recipe, write_rows

CPU = Machine(2)


@dataclass
class Training:
    """A stage whose attempts tell what becomes of its tokens."""

    project: Path
    context: Context
    data: Path
    environment: Environment
    warned: list[str] = field(default_factory=list)
    after: Callable[[], object] = lambda: None
    forced: bool = False

    def attempt(self, number: int) -> Tokens:
        recipe = train_recipe(self.project, "sft", data=self.data, template="qwen")
        paths = self.context.paths.run("run").attempt("sft", number)
        paths.root.mkdir(parents=True)
        job = train_job(recipe, ModelFiles(self.project / "base"), paths.root)
        node = Node("sft", "train", recipe, recipe.spec)
        attempt = Attempt("run", node, number, paths, self._told, self.forced)
        return Tokens(compile_train(job, self.environment, CPU), job, attempt, self.context)

    def run(self, number: int, during: Callable[[], object] = lambda: None) -> TrainJob:
        """One attempt in which the engine, if it is asked, leaves what it has made."""
        tokens = self.attempt(number)
        try:
            with tokens.given(spare=7) as job:
                if job.keep is not None:
                    (job.keep.folder / "train").mkdir(parents=True)
                    (job.keep.folder / "train" / "data.arrow").write_text("tokens")
                during()
                tokens.keep()
                self.after()
        finally:
            assert not list(self.context.paths.runs.glob("*/*/*/tokenized"))
        return job

    def _told(self, progress: Progress) -> None:
        self.warned += filter(None, [progress.warning])


@pytest.fixture
def training(project: Path) -> Training:
    write_full(project / "base")
    _, file, rows = LAYOUT_ROWS["messages"]
    data, environment = write_rows(project / file, rows), bare_environment(project)
    return Training(project, Context(load_settings()), data, environment)


def test_what_one_attempt_makes_the_next_one_takes(training: Training) -> None:
    first, second = training.run(1), training.run(2)
    assert (first.tokenized, first.keep is not None) == (None, True)
    assert (second.tokenized, second.keep) == (second.attempt.tokenized / DATA, None)
    assert training.warned == []


def test_a_plan_says_what_will_be_taken(training: Training) -> None:
    job = training.run(1)
    command = compile_train(job, training.environment, CPU)
    key = tokens_key(command, job.base, training.context)
    assert cached(key, training.context) == ("tokens: cached",)
    assert key is not None
    training.context.tokenized.drop(key)
    assert cached(key, training.context) == ()
    assert tokens_key(command, ModelFiles(Path("/<sft>")), training.context) is None


def test_the_engine_is_told_where(training: Training) -> None:
    jobs = [training.run(1), training.run(2)]
    files = [compile_train(job, training.environment, CPU).files for job in jobs]
    asked = [json.loads(one["finish.json"]).get("tokens") for one in files]
    folder = training.context.paths.run("run").attempt("sft", 1).tokenized / DATA
    assert asked == [{"folder": str(folder), "spare": 7}, None]
    read = ["tokenized_path" in one["config.yaml"] for one in files]
    assert read == [False, True]


def test_what_was_made_of_other_data_fails(training: Training) -> None:
    rows = LAYOUT_ROWS["messages"][2]
    with pytest.raises(Failed, match="the data changed while it was read"):
        training.run(1, during=lambda: write_rows(training.data, [rows] * 9))
    assert list(training.context.tokenized) == []


def test_tokens_of_another_tokenizer_are_not_kept(training: Training) -> None:
    file = training.project / "base" / "tokenizer.json"
    training.run(1, during=lambda: file.write_text('{"version": "2"}'))
    assert list(training.context.tokenized) == []


def test_what_is_forced_takes_nothing_and_leaves_nothing(training: Training) -> None:
    training.run(1)
    training.forced = True
    job = training.run(2)
    assert (job.tokenized, job.keep) == (None, None)


def test_data_that_is_gone_is_no_reason_to_fail(training: Training) -> None:
    training.run(1, during=lambda: training.data.unlink())
    assert list(training.context.tokenized) == []
    assert "tokenized data is not kept" in training.warned[0]


def test_a_training_that_fails_later_leaves_its_tokens(training: Training) -> None:
    training.after = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        training.run(1)
    assert len(list(training.context.tokenized)) == 1


def test_what_is_half_written_is_not_kept(training: Training) -> None:
    tokens = training.attempt(1)
    with tokens.given(spare=0) as job:
        assert job.keep is not None
        (job.keep.folder.parent / "data.begun" / "train").mkdir(parents=True)
        tokens.keep()
    assert list(training.context.tokenized) == []


def test_a_cache_that_cannot_be_written_stops_nobody(training: Training) -> None:
    training.context.paths.cache.mkdir(parents=True, exist_ok=True)
    training.context.paths.tokenized.write_text("a file where the folder should be")
    training.run(1)
    assert "tokenized data is not kept" in training.warned[0]


def test_a_damaged_entry_is_told_and_made_anew(training: Training) -> None:
    training.run(1)
    (entry,) = training.context.paths.tokenized.iterdir()
    (entry / DATA / "train" / "data.arrow").write_text("tokenz")
    job = training.run(2)
    assert job.tokenized is None
    assert "damaged" in training.warned[0]
    assert training.run(3).tokenized is not None
