"""Frames hold what the rows say, alike on both databases."""

from typing import Any

import polars as pl
import sqlalchemy as sa

from llmops.feedback import frames
from llmops.feedback.batch import insert
from llmops.feedback.rows import (
    FEEDBACK_COLUMNS,
    INFERENCE_COLUMNS,
    feedback_row,
    inference_row,
)
from llmops.store.database import writing
from llmops.store.tables import feedback, inferences
from tests.fast.logged import NOW, answer, event

EVENTS = [
    *(event(n) for n in range(30)),
    event(
        30, kind="edit", value=None, text="né\n☃\"'\\N,", detail={"a": [1]}, source="simulated:x"
    ),
    event(31, kind="choice", value=None, choice="tie", other=f"{1:040d}", user="ab" * 16),
    event(32, deployment="city"),
]
ANSWERS = [
    *(answer(n, stream=bool(n % 3)) for n in range(30)),
    answer(30, choices=[], messages=None, error="upstream went away", status=502),
    answer(31, deployment="city"),
]


def fill(database: sa.Engine) -> None:
    with writing(database) as connection:
        answers = [inference_row(record) for record in ANSWERS]
        insert(connection, answers, [feedback_row(record, NOW) for record in EVENTS])


def expected(rows: list[Any], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in rows if row[0]]


def test_events_are_the_rows(database: sa.Engine) -> None:
    fill(database)
    rows = [feedback_row(record, NOW) for record in EVENTS if record["deployment"] == "town"]
    found = frames.rows_of(database, feedback, "town").sort("time")
    assert found.to_dicts() == expected(rows, FEEDBACK_COLUMNS)
    assert found.schema["redacted"] == pl.Int64
    assert found.schema["text"] == pl.String


def test_inferences_are_the_rows(database: sa.Engine) -> None:
    fill(database)
    rows = [inference_row(record) for record in ANSWERS if record["deployment"] == "town"]
    found = frames.rows_of(database, inferences, "town").sort("time")
    assert found.to_dicts() == expected(rows, INFERENCE_COLUMNS)
    assert found.schema["stream"] == pl.Boolean


def test_only_some_columns_and_only_the_latest(database: sa.Engine) -> None:
    fill(database)
    found = frames.rows_of(database, inferences, "town", since=NOW + 29, columns=["id", "stream"])
    assert sorted(found.rows()) == [(f"{29:040d}", True), (f"{30:040d}", False)]


def test_many_portions_are_one_frame(database: sa.Engine, monkeypatch: Any) -> None:
    monkeypatch.setattr(frames, "PORTION", 7)
    fill(database)
    assert frames.rows_of(database, feedback, "town")["id"].n_unique() == 32


def test_nothing_is_an_empty_frame_with_its_columns(database: sa.Engine) -> None:
    found = frames.rows_of(database, feedback, "nowhere")
    assert found.height == 0
    assert found.columns == list(FEEDBACK_COLUMNS)
    assert found.schema["value"] == pl.Float64
