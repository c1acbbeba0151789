"""The loop on the real engines: LLaMA-Factory trains, vLLM answers behind the gateway, simulated
users rate, and versions move on evidence. The first turn is the session's town; the second is made
here."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from demo.rounds import SWAP, Story, read_story
from llmops.feedback.frames import rows_of
from llmops.feedback.ingest import ingest
from llmops.registry.evidence import EvidenceLog
from llmops.registry.store import Registry
from llmops.runner.stage import Context
from llmops.simulation.record import SimulationRecord, simulations
from llmops.spec.load import load_recipe
from llmops.spec.settings import load_settings
from llmops.store.database import open_database
from llmops.store.paths import ProjectPaths
from llmops.store.tables import feedback, inferences
from tests.conftest import run_llmops

pytestmark = pytest.mark.engine

PIPELINE = Path("pipelines/town.yaml")
MARGIN = 0.1
"""Of the gate: recipes/eval.yaml."""


@pytest.fixture(scope="module")
def twice(loop_project: Path) -> Path:
    """The project after its second turn."""
    done = run_llmops("run", PIPELINE, cwd=loop_project, timeout=1500)
    assert done.returncode == 0, done.stderr
    return loop_project


@pytest.fixture(scope="module")
def story(twice: Path) -> Story:
    return read_story(Context(load_settings(twice)), PIPELINE)


@pytest.fixture(scope="module")
def log(twice: Path) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """All answers and all feedback of the town."""
    database = open_database(load_settings(twice))
    ingest(ProjectPaths(twice), database)
    yield rows_of(database, inferences, "town"), rows_of(database, feedback, "town")
    database.dispose()


def simulated(project: Path) -> list[SimulationRecord]:
    return simulations(ProjectPaths(project))


def test_the_first_round_lifts_the_terse_share(story: Story) -> None:
    first = story.rounds[0]
    assert 0.3 <= first.baseline["terse"].value <= 0.7
    assert first.rates["terse"].value >= first.baseline["terse"].value + 0.3


def test_the_second_round_keeps_it(story: Story) -> None:
    first, second = story.rounds
    assert second.rates["terse"].value >= first.rates["terse"].value - 0.05
    assert second.version != first.version


def test_correct_answers_do_not_fall_by_more_than_the_margin(story: Story) -> None:
    for one in story.rounds:
        assert one.baseline["correct"].value >= 0.8
        assert one.rates["correct"].value >= one.baseline["correct"].value - MARGIN


def test_both_rounds_went_to_production_on_evidence(story: Story, twice: Path) -> None:
    assert [one.moved for one in story.rounds] == [True, True]
    found = EvidenceLog(ProjectPaths(twice)).of("town", "town:v3")
    assert {(one.kind, one.passed) for one in found} == {("evaluation", True), ("experiment", True)}
    aliases = Registry(ProjectPaths(twice)).aliases("town")
    assert aliases == {"anchor": 1, "candidate": 3, "production": 3}


def test_both_rounds_trained_from_the_anchor_on_all_pairs(story: Story, twice: Path) -> None:
    versions = Registry(ProjectPaths(twice)).versions("town")
    assert {version.base for version in versions[1:]} == {"town:v1"}
    assert [one.snapshot for one in story.rounds] == ["preferences:town@1", "preferences:town@2"]
    assert len(versions) == 3


def test_a_round_is_timed_from_the_last_vote_to_the_first_answer(story: Story) -> None:
    for one in story.rounds:
        assert list(one.seconds) == ["pairs", "training", "evaluation", "promotion", SWAP]
        assert min(one.seconds.values()) >= 0
        assert one.seconds["training"] > 5


def test_malicious_raters_in_bulk_do_not_turn_it(twice: Path) -> None:
    """They were there, and many of their pairs prefer the wordy answer; most pairs do not."""
    recipe = load_recipe(twice / "recipes/simulate.yaml").spec
    assert recipe.users.malicious == 0.05
    assert recipe.users.bulk >= 3
    pairs = pl.read_parquet(ProjectPaths(twice).snapshots("town") / "1" / "pairs.parquet")
    words = pl.col("chosen").str.count_matches(r"\S+"), pl.col("rejected").str.count_matches(r"\S+")
    turned = pairs.filter(words[0] > words[1]).height / pairs.height
    assert 0.05 <= turned <= 0.45


def test_every_answer_and_every_rating_is_in_the_log(
    twice: Path, log: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    answers, said = log
    given = sum((Counter(one.answers) for one in simulated(twice)), Counter[str]())
    rated = sum((Counter(one.events) for one in simulated(twice)), Counter[str]())
    assert [one.failed for one in simulated(twice)] == [0, 0, 0, 0]
    assert answers.filter(pl.col("error").is_null()).height == given.total()
    assert dict(said.group_by("kind").len().iter_rows()) == dict(rated)
    assert set(answers["source"]) == {"simulated:town-users", "simulated:town-visitors"}


def test_the_lineage_of_an_answer_leads_to_the_votes(
    story: Story, log: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    answers, said = log
    names = [step.name for step in story.chain]
    assert names[:4] == ["answer", "version", "snapshot", "pair"]
    assert [step.key for step in story.chain[1:3]] == ["town:v3", "preferences:town@2"]
    assert story.chain[0].key in set(answers["id"])
    votes = [step.key for step in story.chain[4:]]
    assert votes
    about = said.filter(pl.col("id").is_in(votes))
    assert about.height == len(votes)
    assert set(about["inference"]) <= set(answers["id"])
