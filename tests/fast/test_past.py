"""Where an alias stood at a time, and on what its moves stood."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llmops.cli.models import app
from llmops.errors import BadInput
from llmops.registry.aliases import Move
from llmops.registry.past import at, moment
from llmops.registry.store import Registry
from tests.fast.town_project import make_town

Models = Callable[..., Result]


@pytest.fixture
def town(project: Path) -> Registry:
    return make_town(project)


@pytest.fixture
def models(town: Registry) -> Models:
    return lambda *args: CliRunner().invoke(app, args)


def moved(town: Registry, *hours: int) -> None:
    """Production goes to v1, v2, v3, at these hours of one day, by the clock of the machine."""
    moves = [
        Move(time=f"2026-11-01T{hour:02}:00:00+00:00", alias="production", version=f"town:v{n}")
        for n, hour in enumerate(hours, start=1)
    ]
    text = "".join(move.model_dump_json() + "\n" for move in moves)
    town.paths.aliases("town").write_text(text, encoding="utf-8")


@contextmanager
def zone(name: str) -> Iterator[None]:
    """The machine lies there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def version_at(town: Registry, hour: int) -> str | None:
    found: str | None = at("town", "production", f"2026-11-01T{hour:02}:30Z", town)["version"]
    return found


def test_what_was_production_when(town: Registry) -> None:
    moved(town, 10, 12, 15)
    assert [version_at(town, hour) for hour in (9, 10, 12, 20)] == [
        *(None, "town:v1", "town:v2", "town:v3"),
    ]


@pytest.mark.parametrize(
    ("hours", "hour", "possible"),
    [
        ((10, 20, 15, 22), 9, [None]),
        ((10, 20, 15, 22), 12, ["town:v1", "town:v2", "town:v3"]),
        ((10, 20, 15, 22), 21, ["town:v1", "town:v2", "town:v3"]),
        ((10, 20, 15, 22), 23, ["town:v4"]),
        ((10, 9, 15), 8, [None, "town:v1", "town:v2"]),
        ((10, 9, 15), 16, ["town:v3"]),
    ],
)
def test_a_clock_that_was_set_back_leaves_open_what_was(
    town: Registry, hours: tuple[int, ...], hour: int, possible: list[str | None]
) -> None:
    moved(town, *hours)
    found = at("town", "production", f"2026-11-01T{hour:02}:00Z", town)
    assert found["possible"] == possible
    assert found["version"] == (possible[0] if len(possible) == 1 else None)


def test_a_time_that_has_yet_to_come_is_not_believed(town: Registry) -> None:
    moved(town, 10, 12)
    log = town.paths.aliases("town")
    log.write_text(log.read_text().replace("2026-11-01T12", "2999-11-01T12"))
    found = at("town", "production", "2026-11-01T11:00Z", town)
    assert found["possible"] == ["town:v1", "town:v2"]


def test_what_cannot_be_known_is_said(models: Models, town: Registry) -> None:
    moved(town, 10, 20, 15)
    said = models("at", "town", "production", "2026-11-01T17:00Z").stdout
    assert "named one of town:v1, town:v2, town:v3, in this order" in said


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-01T12:00Z", "2026-11-01T12:00:00+00:00"),
        ("2026-11-01T13:00+01:00", "2026-11-01T12:00:00+00:00"),
        ("2026-11-01 12:00", "2026-11-01T12:00:00+00:00"),
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
    ],
)
def test_times_are_utc_unless_they_name_a_zone(text: str, utc: str) -> None:
    with zone("America/Lima"):
        assert moment(text) == datetime.fromisoformat(utc)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("production", "2 days ago"), "`2 days ago` is no time"),
        (("production", "0001-01-01T00:00+23:00"), "is no time"),
        (("production", "2999-01-01"), "has yet to come"),
        (("prod", "2026-01-01"), "model `town` has no alias `prod`"),
    ],
)
def test_questions_without_an_answer(models: Models, args: tuple[str, ...], words: str) -> None:
    refused = models("at", "town", *args).exception
    assert isinstance(refused, BadInput)
    assert words in str(refused)


def test_it_is_told_what_it_was_made_of_and_why_it_stood_there(
    models: Models, town: Registry
) -> None:
    models("promote", "town:v2", "production", "--override", "the first has no evidence")
    (move,) = json.loads(models("history", "town", "--alias", "production", "--json").stdout)[1:]
    assert move["evidence"][0]["kind"] == "override"
    found = json.loads(models("at", "town", "production", move["time"], "--json").stdout)
    assert (found["version"], found["since"], found["until"]) == ("town:v2", move["time"], None)
    assert found["made_of"]["digest"] == town.resolve("town:v2").digest
    said = models("at", "town", "production", move["time"]).stdout
    assert "named town:v2" in said
    assert "override: to production: the first has no evidence" in said


def test_before_its_first_move_an_alias_named_nothing(models: Models, town: Registry) -> None:
    assert "named nothing yet until" in models("at", "town", "production", "2020-01-01").stdout
