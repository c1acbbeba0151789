"""The log to files and back: nothing is lost, nothing comes twice, mistakes are told by line."""

import os
import re
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import sqlalchemy as sa

from llmops.errors import BadInput, Failed
from llmops.feedback.batch import insert
from llmops.feedback.exports import export
from llmops.feedback.imports import Defaults, import_file
from llmops.feedback.redaction import expire
from llmops.feedback.rows import FEEDBACK_COLUMNS, INFERENCE_COLUMNS, feedback_row, inference_row
from llmops.spec.settings import Settings
from llmops.store.database import open_database, reading, writing
from llmops.store.tables import feedback, inferences
from tests.conftest import ROOT
from tests.fast.logged import IDENTITY, NOW, answer, event

DEFAULTS = Defaults("town", "imported", IDENTITY.user)
RECORDS = [
    *(answer(n, stream=n == 1) for n in range(4)),
    answer(4, endpoint="completions", messages=None, prompt="The river is"),
    answer(5, choices=[], error="gone", status=502, source="simulated:x"),
    event(1, kind="edit", value=None, text="né\n☃", detail={"a": [1]}, user="ab" * 16),
    event(2, kind="choice", value=None, choice="tie", other=answer(1)["id"]),
]


def fill(database: sa.Engine) -> None:
    with writing(database) as connection:
        answers = [inference_row(r) for r in RECORDS if r["type"] == "inference"]
        insert(connection, answers, [feedback_row(r, NOW) for r in RECORDS if "kind" in r])


def everything(database: sa.Engine) -> list[Any]:
    """All rows but for when they were received."""
    kept = [column for column in feedback.c if column.name != "received"]
    with reading(database) as connection:
        answers = connection.execute(sa.select(inferences).order_by(inferences.c.id)).all()
        events = connection.execute(sa.select(*kept).order_by(feedback.c.id)).all()
    return [tuple(row) for row in (*answers, *events)]


def lines(tmp_path: Path, *records: Any) -> Path:
    file = tmp_path / "log.jsonl"
    text = [r if isinstance(r, bytes) else orjson.dumps(r) for r in records]
    file.write_bytes(b"\n".join(text) + b"\n")
    return file


def test_an_export_makes_the_same_log_elsewhere(database: sa.Engine, tmp_path: Path) -> None:
    fill(database)
    expire(database, "town", NOW + 1, NOW)
    assert export(database, tmp_path / "out.jsonl") == (6, 2)
    other = open_database(Settings(root=tmp_path / "other", cache=tmp_path))
    assert import_file(other, tmp_path / "out.jsonl", DEFAULTS) == (6, 2, 0)
    assert everything(other) == everything(database)
    assert import_file(other, tmp_path / "out.jsonl", DEFAULTS) == (0, 0, 8)
    other.dispose()


def test_parquet_holds_the_tables(database: sa.Engine, tmp_path: Path) -> None:
    fill(database)
    assert export(database, tmp_path / "out", format="parquet") == (6, 2)
    answers = pl.read_parquet(tmp_path / "out" / "inferences.parquet")
    events = pl.read_parquet(tmp_path / "out" / "feedback.parquet")
    assert (answers.columns, answers.height) == ([*INFERENCE_COLUMNS], 6)
    assert (events.columns, events["text"].to_list()) == ([*FEEDBACK_COLUMNS], ["né\n☃", None])


def test_only_one_deployment_and_only_the_latest(database: sa.Engine, tmp_path: Path) -> None:
    fill(database)
    assert export(database, tmp_path / "a", deployment="nowhere") == (0, 0)
    assert export(database, tmp_path / "b", since=NOW + 4) == (2, 2)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_written(database: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(Failed, match="cannot be written"):
        export(database, tmp_path / "file" / "below.jsonl")


def test_a_log_of_others(database: sa.Engine, tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "Which river?"}]
    file = lines(
        tmp_path,
        {"id": "a1", "messages": asked, "response": "The Ebb.", "user_id": "alice"},
        {"id": "a2", "prompt": "The river is", "response": " the Ebb", "time": "2026-01-31T12:00Z"},
        {"inference": "a1", "kind": "thumbs", "value": "up"},
        {"inference": "a1", "kind": "rating", "value": 0.5, "user_id": "bob"},
        {"inference": "a2", "kind": "edit", "text": "the Lahn"},
    )
    assert import_file(database, file, DEFAULTS) == (2, 3, 0)
    assert import_file(database, file, DEFAULTS) == (0, 0, 5)
    with reading(database) as connection:
        first, second = connection.execute(sa.select(inferences).order_by(inferences.c.id)).all()
        values = connection.scalars(sa.select(feedback.c.value).order_by(feedback.c.value)).all()
    assert (first.response, first.user, first.source) == (
        "The Ebb.",
        IDENTITY.user("alice"),
        "imported",
    )
    assert (second.endpoint, second.time, second.finish) == ("completions", 1769860800000, "stop")
    assert sorted(v for v in values if v is not None) == [0.5, 1.0]


def test_the_samples_of_the_docs(database: sa.Engine, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")
    (sample,) = re.findall(r"^```json\n(.*?)^```", text, re.M | re.S)
    file = lines(tmp_path, sample.encode())
    assert import_file(database, file, Defaults(None, "imported", IDENTITY.user)) == (1, 2, 0)


GOOD = {"messages": [], "response": "x"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "not JSON"),
        ({"response": "x"}, "needs `messages` or `prompt`"),
        ({"messages": []}, "needs `response`"),
        ({**GOOD, "mesages": []}, "did you mean `messages`?"),
        ({**GOOD, "time": "2026-01-31T12:00"}, "has no time zone"),
        ({**GOOD, "time": "soon"}, "neither ISO 8601 nor milliseconds"),
        ({**GOOD, "user": "alice"}, "write `user_id`"),
        ({**GOOD, "messages": ["hi"]}, "a list of objects"),
        ({"kind": "thumbs", "inference": "a", "value": 3}, "must be 1 (up) or 0 (down)"),
        ({"kind": "rating", "inference": "a", "value": 4}, "from 0 to 1"),
        ({"kind": "choice", "inference": "a", "choice": "tie"}, "`other` of choice"),
        ({"kind": "stars", "inference": "a"}, "`kind` must be one of"),
        ({"kind": "edit", "text": "x"}, "`inference` is missing"),
        ({"type": ["vote"]}, "neither inference nor feedback"),
        ({"type": "vote"}, "neither inference nor feedback"),
    ],
)
@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_mistake_is_told_by_its_line(
    database: sa.Engine, tmp_path: Path, line: Any, words: str
) -> None:
    with pytest.raises(BadInput, match=r"1 of 2 lines.*\n.*log\.jsonl:2: ") as caught:
        import_file(database, lines(tmp_path, GOOD, line), DEFAULTS)
    assert words in str(caught.value)
    assert everything(database) == []


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_line_without_a_deployment(database: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give --deployment"):
        import_file(database, lines(tmp_path, GOOD), Defaults(None, "x", IDENTITY.user))


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_file_that_is_not_there(database: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        import_file(database, tmp_path / "none.jsonl", DEFAULTS)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_pipe_is_read_like_a_file(database: sa.Engine, tmp_path: Path) -> None:
    out, into = os.pipe()
    os.write(into, lines(tmp_path, GOOD).read_bytes())
    os.close(into)
    assert import_file(database, Path(f"/dev/fd/{out}"), DEFAULTS) == (1, 0, 0)
    os.close(out)
