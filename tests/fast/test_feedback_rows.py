"""Records become rows and come back; what makes no row says why."""

import hashlib
from typing import Any

import orjson
import pytest

from llmops.feedback.rows import (
    FEEDBACK_COLUMNS,
    INFERENCE_COLUMNS,
    Newer,
    Unreadable,
    canonical,
    feedback_record,
    feedback_row,
    inference_record,
    inference_row,
    parse,
)
from llmops.store.tables import feedback, inferences
from tests.fast.logged import answer, event


def row(record: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(INFERENCE_COLUMNS, inference_row(record), strict=True))


def test_rows_have_the_columns_of_the_tables() -> None:
    assert tuple(inferences.c.keys()) == INFERENCE_COLUMNS
    assert tuple(feedback.c.keys()) == FEEDBACK_COLUMNS


def test_an_inference_comes_back_as_it_was() -> None:
    record = answer(1, group="g", position=1, source="simulated:town", stream=True)
    assert inference_record(row(record)) == {**record, "redacted": None}


def test_an_event_comes_back_as_it_was() -> None:
    record = event(1, kind="rating", value=0.75, detail={"scale": [1, 5], "raw": 4})
    back = dict(zip(FEEDBACK_COLUMNS, feedback_row(record, 5), strict=True))
    assert feedback_record(back) == {**record, "redacted": None}


def test_a_completion_is_a_chat_of_one_turn() -> None:
    record = answer(1, endpoint="completions", messages=None, prompt="Which river?")
    found = row(record)
    assert found["messages"] == '[{"content":"Which river?","role":"user"}]'
    assert inference_record(found)["prompt"] == "Which river?"


def test_the_same_chat_has_the_same_hash_however_it_was_written() -> None:
    one = canonical([{"role": "user", "content": "né"}])
    assert one == canonical([{"content": "né", "role": "user"}])
    found = row(answer(1, messages=[{"content": "né", "role": "user"}]))
    assert found["prompt_hash"] == hashlib.sha256(one.encode()).hexdigest()


def test_what_was_not_asked_or_answered_is_empty() -> None:
    found = row(answer(1, messages=None, choices=[], error="gone", status=502))
    assert (found["messages"], found["prompt_hash"], found["response"]) == (None, "", None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"format": 2}', "format 2"),
    ],
)
def test_a_line_that_is_no_record(line: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as caught:
        parse(line)
    assert isinstance(caught.value, Newer) == (b"format" in line)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": ""}, "`id`"),
        ({"id": "x" * 65}, "longer than 64"),
        ({"time": "now"}, "`time`"),
        ({"time": True}, "`time`"),
        ({"generation": 2**31}, "`generation`"),
        ({"deployment": None}, "`deployment`"),
        ({"choices": ["text"]}, "`choices`"),
    ],
)
def test_a_record_without_what_a_row_needs(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        inference_row(answer(1, **changes))


def test_odd_figures_of_an_upstream_are_left_out() -> None:
    odd = {"prompt_tokens": "12", "completion_tokens": 2**40, "total_ms": "fast"}
    found = row(parse(orjson.dumps(answer(1, **odd))))
    assert [found[name] for name in odd] == [None, None, None]
