"""What a client may say about an answer, and what it is told when it may not."""

import json
from typing import Any

import orjson
import pytest

from llmops.feedback.acceptance import Refused, accept
from llmops.feedback.identity import Identity
from llmops.feedback.records import FeedbackRecord

IDENTITY = Identity(b"s" * 32)
NOW = 1_800_000_000.0
DAY = 86400.0
A = IDENTITY.new_id("town", NOW - 60)
B = IDENTITY.new_id("town", NOW - 30)
OLD = IDENTITY.new_id("town", NOW - 91 * DAY)
FOREIGN = IDENTITY.new_id("city", NOW)
FORGED = Identity(b"t" * 32).new_id("town", NOW)
DEEP: Any = json.loads("[" * 500 + "]" * 500)


def take(body: Any) -> FeedbackRecord:
    return accept(body, identity=IDENTITY, deployment="town", window=90 * DAY, now=NOW)


def about(kind: str, **said: Any) -> dict[str, Any]:
    return {"kind": kind, "inference_id": A, **said}


def between(choice: Any, *ids: Any) -> dict[str, Any]:
    return {"kind": "choice", "inference_ids": list(ids or (A, B)), "choice": choice}


GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (about("thumbs", value="up"), {"kind": "thumbs", "inference": A, "value": 1.0}),
    (about("thumbs", value="down"), {"value": 0.0, "other": None, "text": None, "detail": {}}),
    (about("thumbs", value="up", inference_id=f"chatcmpl-{A}"), {"inference": A}),
    (about("thumbs", value="up", inference_id=f"cmpl-{A}"), {"inference": A}),
    (about("rating", value=4, scale=[1, 5]), {"value": 0.75}),
    (about("rating", value=4), {"detail": {"scale": [1.0, 5.0], "value": 4.0}}),
    (about("rating", value=0.5, scale=[0, 1]), {"value": 0.5}),
    (about("rating", value=-1, scale=[-1, 1]), {"value": 0.0}),
    (about("rating", value=10, scale=[0, 10]), {"value": 1.0}),
    (about("edit", text="The bakery."), {"kind": "edit", "text": "The bakery."}),
    (about("edit", text="x" * 65536), {"kind": "edit"}),
    (about("comment", text="zu lang, 太长 🙂"), {"kind": "comment", "text": "zu lang, 太长 🙂"}),
    (between("first"), {"inference": A, "other": B, "choice": "first", "value": None}),
    (between("second"), {"inference": A, "other": B, "choice": "second"}),
    (between("tie"), {"choice": "tie"}),
    (between("both_bad"), {"choice": "both_bad"}),
    (between(A), {"choice": "first"}),
    (between(f"chatcmpl-{B}", f"chatcmpl-{A}", B), {"other": B, "choice": "second"}),
    (about("regenerate", replaces=B), {"inference": A, "other": B}),
    (about("engagement", name="copied"), {"name": "copied", "value": 1.0}),
    (about("engagement", name="read_seconds", value=12.5), {"value": 12.5}),
    (about("metric", name="resolved", value=True), {"name": "resolved", "value": 1.0}),
    (about("metric", name="resolved", value=False), {"value": 0.0}),
    (about("metric", name="cost.eur", value=-3), {"value": -3.0}),
    (about("thumbs", value="up", user="ann"), {"user": IDENTITY.user("ann")}),
    (about("thumbs", value="up", user=None, time=None), {"user": None, "time": int(NOW) * 1000}),
    (about("thumbs", value="up", event_id="vote-7"), {"id": f"vote-7@{A}"}),
    (about("thumbs", value="up", source="simulated:town"), {"source": "simulated:town"}),
    (about("thumbs", value="up", time="2027-01-15T07:59:50Z"), {"time": 1_799_999_990_000}),
    (about("thumbs", value="up", time="2027-01-15T08:59:50.250+01:00"), {"time": 1799999990250}),
]


@pytest.mark.parametrize(("body", "expected"), GOOD)
def test_a_good_event_becomes_a_record(body: dict[str, Any], expected: dict[str, Any]) -> None:
    record = take(body)
    assert {key: record.get(key) for key in expected} == expected
    assert record.keys() == FeedbackRecord.__annotations__.keys()
    assert (record["format"], record["type"], record["deployment"]) == (1, "feedback", "town")
    assert orjson.loads(orjson.dumps(record)) == record


BAD: list[tuple[Any, int, str | None]] = [
    (None, 400, None),
    ([], 400, None),
    ("up", 400, None),
    ({}, 400, "kind"),
    (DEEP, 400, None),
    ({"kind": DEEP}, 400, "kind"),
    ({"kind": "thumb", "inference_id": A}, 400, "kind"),
    ({"kind": "thumbs", "value": "up"}, 400, "inference_id"),
    (about("thumbs"), 400, "value"),
    (about("thumbs", value=1), 400, "value"),
    (about("thumbs", value=["up"]), 400, "value"),
    (about("thumbs", value="up", text="no text here"), 400, "text"),
    (about("thumbs", value="up", usr="ann"), 400, "usr"),
    (about("thumbs", value="up", inference_id=7), 400, "inference_id"),
    (about("thumbs", value="up", inference_id=DEEP), 400, "inference_id"),
    (about("thumbs", value="up", inference_id=""), 400, "inference_id"),
    (about("thumbs", value="up", inference_id=A[:-1]), 400, "inference_id"),
    (about("thumbs", value="up", inference_id=A.upper()), 400, "inference_id"),
    (about("thumbs", value="up", inference_id="\ud800" * 40), 400, "inference_id"),
    (about("thumbs", value="up", inference_id=FORGED), 403, "inference_id"),
    (about("thumbs", value="up", inference_id=FOREIGN), 403, "inference_id"),
    (about("thumbs", value="up", inference_id=OLD), 410, "inference_id"),
    (about("rating", value=6), 400, "value"),
    (about("rating", value=True), 400, "value"),
    (about("rating", value="4"), 400, "value"),
    (about("rating", value=float("nan")), 400, "value"),
    (about("rating", value=3, scale=[5, 1]), 400, "scale"),
    (about("rating", value=3, scale=[3, 3]), 400, "scale"),
    (about("rating", value=3, scale=[1, 5, 9]), 400, "scale"),
    (about("rating", value=3, scale="1-5"), 400, "scale"),
    (about("rating", value=3, scale=[0, float("inf")]), 400, "scale"),
    (about("rating", value=3, scale=[-1e308, 1e308]), 400, "scale"),
    (about("edit"), 400, "text"),
    (about("edit", text="  \n"), 400, "text"),
    (about("edit", text=DEEP), 400, "text"),
    (about("edit", text="ä" * 32769), 400, "text"),
    (about("edit", text="a\0b"), 400, "text"),
    (about("comment", text="\ud800"), 400, "text"),
    (between("neither"), 400, "choice"),
    (between(FOREIGN), 400, "choice"),
    (between(["first"]), 400, "choice"),
    (between("first", A), 400, "inference_ids"),
    (between("first", A, f"chatcmpl-{A}"), 400, "inference_ids"),
    (between("first", A, None), 400, "inference_ids"),
    (between("first", A, FORGED), 403, "inference_ids"),
    (between("first", OLD, A), 410, "inference_ids"),
    (about("choice", choice="first"), 400, "inference_id"),
    (about("regenerate"), 400, "replaces"),
    (about("regenerate", replaces=A), 400, "replaces"),
    (about("regenerate", replaces=FORGED), 403, "replaces"),
    (about("engagement"), 400, "name"),
    (about("engagement", name="a b"), 400, "name"),
    (about("engagement", name="copied", value=True), 400, "value"),
    (about("metric", name="resolved"), 400, "value"),
    (about("metric", name="x" * 65, value=1), 400, "name"),
    (about("metric", name="x", value=10**400), 400, "value"),
    (about("metric", name="x", value=float("-inf")), 400, "value"),
    (about("metric", name="x", value="1"), 400, "value"),
    (about("thumbs", value="up", user=7), 400, "user"),
    (about("thumbs", value="up", user=""), 400, "user"),
    (about("thumbs", value="up", user="x" * 257), 400, "user"),
    (about("thumbs", value="up", user="\udfff"), 400, "user"),
    (about("thumbs", value="up", event_id=""), 400, "event_id"),
    (about("thumbs", value="up", event_id="a b"), 400, "event_id"),
    (about("thumbs", value="up", event_id="x" * 65), 400, "event_id"),
    (about("thumbs", value="up", event_id=5), 400, "event_id"),
    (about("thumbs", value="up", source="web"), 400, "source"),
    (about("thumbs", value="up", source="simulated:"), 400, "source"),
    (about("thumbs", value="up", time=1_800_000_000), 400, "time"),
    (about("thumbs", value="up", time="2027-01-15T08:00:00"), 400, "time"),
    (about("thumbs", value="up", time="2027-01-15T08:00:00Z" + "0" * 1_000_000), 400, "time"),
    (about("thumbs", value="up", time="yesterday"), 400, "time"),
]


@pytest.mark.parametrize(("body", "status", "param"), BAD)
def test_a_bad_event_is_refused_by_name(body: Any, status: int, param: str | None) -> None:
    with pytest.raises(Refused) as refused:
        take(body)
    assert (refused.value.status, refused.value.param) == (status, param)
    assert refused.value.message.isascii()
    assert len(refused.value.message) < 300


def test_an_unknown_key_has_a_suggestion() -> None:
    with pytest.raises(Refused, match="did you mean `user`"):
        take(about("thumbs", value="up", usr="ann"))


def test_a_key_of_a_megabyte_is_refused_at_once() -> None:
    with pytest.raises(Refused, match="has no key") as refused:
        take(about("thumbs", **{"x" * 1_000_000: 1}))
    assert len(refused.value.message) < 300


def test_a_time_that_cannot_be_is_moved_and_told() -> None:
    early = take(about("thumbs", value="up", time="0001-01-01T00:00:00+23:00"))
    late = take(about("thumbs", value="up", time="2999-01-01T00:00:00Z"))
    assert (early["time"], late["time"]) == ((NOW - 60) * 1000, NOW * 1000)
    assert early["detail"] == {"time": "0001-01-01T00:00:00+23:00"}


def test_an_answer_can_be_rated_until_its_window_ends() -> None:
    inference = IDENTITY.new_id("town", NOW - 90 * DAY)
    assert take(about("thumbs", value="up", inference_id=inference))["inference"] == inference


def test_events_without_an_id_are_different_events() -> None:
    assert take(about("thumbs", value="up"))["id"] != take(about("thumbs", value="up"))["id"]


def test_one_event_id_on_two_answers_is_two_events() -> None:
    first = take(about("thumbs", value="up", event_id="1"))
    second = take(about("thumbs", value="up", event_id="1", inference_id=B))
    assert first["id"] != second["id"]
    assert first["id"] == take(about("thumbs", value="up", event_id="1"))["id"]


def test_ids_fit_into_the_database() -> None:
    from llmops.store.tables import feedback

    record = take(about("thumbs", value="up", event_id="x" * 64))
    assert len(record["id"]) <= feedback.c.id.type.length
