"""Lineages through the log, in either database."""

import pytest
import sqlalchemy as sa

from llmops.feedback.ingest import ingest
from llmops.lineage import log
from llmops.lineage.graph import Graph
from llmops.lineage.of_log import of_inference, of_user
from llmops.lineage.of_version import of_version
from llmops.lineage.project import Project
from llmops.spec.settings import Settings
from tests.fast.logged import IDENTITY
from tests.fast.traced import Traced, traced


@pytest.fixture
def past(settings: Settings, database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Traced:
    monkeypatch.setenv("LLMOPS_SECRET", IDENTITY.secret.decode())
    made = traced(settings.root)
    ingest(made.paths, database)
    return made


def counts(graph: Graph) -> dict[str, int]:
    kinds = ("events", "answers")
    return {one.id: one.facts["count"] for one in graph.nodes if one.kind in kinds}


def test_what_is_behind_a_version_is_the_same_one_by_one_and_in_bulk(
    past: Traced, settings: Settings, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project(settings, lambda: database) as project:
        few = of_version("town:v3", project).record()
    monkeypatch.setattr(log, "_FEW", 0)
    with Project(settings, lambda: database) as project:
        many = of_version("town:v3", project)
    assert many.record() == few
    assert counts(many) == {
        "events:town@1/choice": 2,
        "events:town@1/edit": 1,
        "answers:town@1/town:v1": 1,
        "answers:town@1/town:v2": 4,
    }


def test_an_answer_and_a_user_lead_to_the_version(
    past: Traced, settings: Settings, database: sa.Engine
) -> None:
    with Project(settings, lambda: database) as project:
        assert "town:v3" in of_inference(past.said.answers[0]["id"], project)
        found = of_user("bob", project)
    assert "town:v3" in found
    assert found["user"].facts["events"] == 2
