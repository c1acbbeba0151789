"""From one answer of a version back to the votes behind it: through a log that the real journal
wrote, a snapshot that was built from it, and the manifest of a version."""

from pathlib import Path

import pytest

from demo.lineage import Step, lineage
from llmops.feedback.frames import rows_of
from llmops.feedback.ingest import ingest
from llmops.preferences.save import save
from llmops.registry.manifest import Lineage, Manifest
from llmops.spec.settings import load_settings
from llmops.store.database import open_database
from llmops.store.paths import ProjectPaths
from llmops.store.tables import feedback, inferences
from tests.fast.logged import write
from tests.fast.said import Said, recipe

VERSION = Manifest(
    name="town",
    number=9,
    kind="adapter",
    stage="dpo",
    base="town:v1",
    created="2026-01-01",
    digest="d" * 64,
    files={},
    lineage=Lineage(run="r1"),
)


@pytest.fixture
def said() -> Said:
    """Three users prefer `short` to one question, one to another."""
    said = Said()
    for user in ("ann", "bob", "eve"):
        pair = said.ask("Which river?", "short", user), said.ask("Which river?", "long", user)
        said.vote(*pair, "first", user)
    pair = said.ask("Which tree?", "brief", "ann"), said.ask("Which tree?", "wide", "ann")
    said.vote(*pair, "first", "ann")
    said.edit(said.ask("Which ware?", "rope", "bob"), "lace", "bob")
    return said


def chain(said: Said, project: Path) -> list[Step]:
    """What is told of version 9, once all that was said is in the log and in a snapshot."""
    paths = ProjectPaths(project)
    write(paths, said.records)
    snapshot = save(said.build("votes", "edits"), recipe("votes", "edits"), paths)
    database = open_database(load_settings())
    ingest(paths, database)
    frames = rows_of(database, inferences, "town"), rows_of(database, feedback, "town")
    database.dispose()
    return lineage(VERSION, snapshot, *frames)


def served(said: Said, prompt: str, text: str) -> str:
    return said.ask(prompt, text, "zoe", version="town:v9")


def test_it_leads_to_the_votes_for_the_very_answer(said: Said, project: Path) -> None:
    served(said, "Which tree?", "brief")
    answer = served(said, "Which river?", "short")
    found = chain(said, project)
    assert [step.name for step in found] == [
        *("answer", "version", "snapshot", "pair"),
        *("choice event",) * 3,
    ]
    assert [step.key for step in found[:3]] == [answer, "town:v9", "preferences:town@1"]
    votes = [one["id"] for one in said.events if one["kind"] == "choice"]
    assert [step.key for step in found[4:]] == votes[:3]
    first, second = said.answers[0]["id"], said.answers[1]["id"]
    assert found[4].lines == (f"prefers {first} to {second}",)


def test_an_answer_that_nobody_rated_leads_to_the_pair_of_most_raters(
    said: Said, project: Path
) -> None:
    served(said, "Which animal?", "fox")
    found = chain(said, project)
    assert found[0].lines == ("asked: Which animal?", "answered: fox")
    assert found[3].key == "made by votes, 3 raters, 100% agree"


def test_a_version_that_never_answered_has_no_lineage_to_show(said: Said, project: Path) -> None:
    assert chain(said, project) == []
