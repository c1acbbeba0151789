"""The log as builders get it, from the real journal through both databases."""

import pytest

from llmops.errors import BadInput
from llmops.preferences import rows
from llmops.preferences.build import build
from llmops.preferences.source import read_log
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths
from tests.fast.logged import write
from tests.fast.said import Said, recipe
from tests.fast.test_preference_oracle import BUILDERS, random_log


def test_both_databases_give_what_was_said(settings: Settings) -> None:
    said, made = random_log(3), recipe(*BUILDERS)
    said.edit(said.ask("né ☃ \\u0000?", 'a\n"b"\tc\\'), "né\r\n", "ann")
    write(ProjectPaths(settings.root), said.records)
    found = build(read_log(settings, made), made)
    assert rows.digest(found.rows) == rows.digest(said.build(*BUILDERS).rows)
    assert found.rows.height > 5


def test_who_asked_is_the_first_that_is_known(settings: Settings) -> None:
    said = Said()
    for changes in (
        {"user": "u", "session": "s"},
        {"user": None, "session": "s", "unit": "session:s"},
        {"user": None, "unit": "conversation:c"},
        {"user": None, "unit": ""},
    ):
        said.thumb(said.ask("p", "a", **changes), True)  # type: ignore[arg-type]
    said.ask("unrated", "a")
    write(ProjectPaths(settings.root), said.records)
    found = read_log(settings, recipe("thumbs")).inferences.sort("id")
    assert found["asker"].to_list() == ["u", "s", "conversation:c", f"{3:040d}"]
    assert found.equals(said.log().inferences.head(4))


def test_a_judge_gets_answers_that_nobody_rated(settings: Settings) -> None:
    said = Said()
    said.ask("unrated", "a")
    write(ProjectPaths(settings.root), said.records)
    judge = {"judge": {"url": "http://127.0.0.1:1", "model": "j"}}
    assert read_log(settings, recipe("votes")).inferences.height == 0
    assert read_log(settings, recipe(builders=judge)).inferences.height == 1


def test_other_deployments_are_left_alone(settings: Settings) -> None:
    said = Said()
    said.vote(said.ask("p", "a"), said.ask("p", "b"), "first")
    other = [
        {**record, "deployment": "city", "id": f"x{record['id']}"[:40]} for record in said.records
    ]
    write(ProjectPaths(settings.root), [*said.records, *other])
    log = read_log(settings, recipe("votes"))
    assert (log.inferences.height, log.events.height) == (2, 1)


def test_a_log_without_the_deployment_is_told(settings: Settings) -> None:
    write(ProjectPaths(settings.root), [{**a, "deployment": "city"} for a in random_log(1).answers])
    with pytest.raises(BadInput, match="holds nothing of deployment `town`") as caught:
        read_log(settings, recipe("votes"))
    assert "known: `city`" in str(caught.value)
