"""Pages, one answer, figures: what people see of the log."""

from typing import Any

import pytest
import sqlalchemy as sa

from llmops.errors import BadInput
from llmops.feedback import query
from llmops.feedback.batch import insert
from llmops.feedback.figures import stats
from llmops.feedback.query import Filters
from llmops.feedback.rows import feedback_row, inference_row
from llmops.store.database import writing
from tests.fast.logged import IDENTITY, NOW, answer, event


def put(database: sa.Engine, *records: dict[str, Any]) -> None:
    answers = [inference_row(r) for r in records if r["type"] == "inference"]
    events = [feedback_row(r, NOW) for r in records if r["type"] == "feedback"]
    with writing(database) as connection:
        insert(connection, answers, events)


def names(page: query.Page) -> list[str]:
    return [row["id"] for row in page.rows]


def test_pages_neither_repeat_nor_skip_while_others_come_in(database: sa.Engine) -> None:
    put(database, *(event(n, time=NOW + n // 2) for n in range(10)))
    seen, after = [], None
    while True:
        page = query.events(database, after=after, size=3)
        seen += names(page)
        put(database, event(100 + len(seen)))
        if page.after is None:
            break
        after = page.after
    assert seen == [f"event-{n}" for n in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(kind="edit"), ["event-3"]),
        (Filters(variant="candidate"), ["event-3", "event-1"]),
        (Filters(version="town:v1"), ["event-2", "event-0"]),
        (Filters(source="real", deployment="town"), ["event-3", "event-1", "event-0"]),
        (Filters(source="simulated:x"), ["event-2"]),
        (Filters(user=IDENTITY.user("rater")), ["event-1"]),
        (Filters(since=NOW + 1001), ["event-3", "event-2", "event-1"]),
        (Filters(deployment="nowhere"), []),
    ],
)
def test_filters(database: sa.Engine, filters: Filters, found: list[str]) -> None:
    put(database, *(answer(n) for n in range(4)), event(0))
    put(database, event(1, user=IDENTITY.user("rater")), event(2, source="simulated:x"))
    put(database, event(3, kind="edit", text="So", value=None))
    assert names(query.events(database, filters)) == found


def test_answers_by_the_feedback_that_they_got(database: sa.Engine) -> None:
    put(database, *(answer(n) for n in range(3)), event(1))
    assert names(query.answers(database, Filters(kind="thumbs"))) == [answer(1)["id"]]
    assert len(query.answers(database).rows) == 3


@pytest.mark.parametrize("after", ["yesterday", "--5,x", "5-,x", f"{'9' * 19},x"])
def test_a_bad_place_in_a_list(database: sa.Engine, after: str) -> None:
    with pytest.raises(BadInput, match="no place in a list"):
        query.events(database, after=after)


def test_an_answer_with_all_that_is_known_of_it(database: sa.Engine) -> None:
    put(database, answer(1, group="g", position=0), answer(2, group="g", position=1))
    put(database, event(1), event(3, kind="choice", choice="first", other=answer(1)["id"]))
    found = query.show(database, "chatcmpl-" + answer(1)["id"])
    assert found["inference"]["messages"] == answer(1)["messages"]
    assert [event["id"] for event in found["events"]] == ["event-1", "event-3"]
    assert found["group"] == [answer(2)["id"]]
    assert query.show(database, "event-1")["id"] == answer(1)["id"]


def test_an_event_without_its_answer_is_shown(database: sa.Engine) -> None:
    put(database, event(1))
    found = query.show(database, "event-1")
    assert found["inference"] is None
    assert len(found["events"]) == 1


def test_an_id_that_nobody_knows(database: sa.Engine) -> None:
    with pytest.raises(BadInput, match="no answer and no event `x`"):
        query.show(database, "x")


def test_figures_by_version(database: sa.Engine) -> None:
    put(database, *(answer(n) for n in range(4)), answer(5, error="gone"))
    put(database, event(1, value=1.0), event(3, value=0.0), event(0, value=1.0))
    put(database, event(6, kind="metric", name="solved", inference=answer(1)["id"], value=0.5))
    chosen = {"kind": "choice", "value": None, "inference": answer(1)["id"]}
    put(database, event(7, choice="first", other=answer(0)["id"], **chosen))
    put(database, event(8, choice="tie", other=answer(0)["id"], **chosen), event(99))
    unknown, first, second = sorted(stats(database), key=lambda one: one["version"] or "")
    assert (unknown["answers"], unknown["feedback"]["thumbs"]["count"]) == (0, 1)
    assert (second["answers"], second["errors"], second["users"]) == (3, 1, 3)
    assert second["feedback"]["thumbs"] == {"count": 2, "mean": 0.5}
    assert second["feedback"]["metric:solved"] == {"count": 1, "mean": 0.5}
    votes = {"count": 2, "tie": 1, "both_bad": 0}
    assert second["feedback"]["choice"] == {**votes, "won": 1, "lost": 0}
    assert first["feedback"]["choice"] == {**votes, "won": 0, "lost": 1}


def test_figures_of_one_deployment_since_a_time(database: sa.Engine) -> None:
    put(database, answer(1), answer(2), answer(3, deployment="city"))
    (only,) = stats(database, deployment="town", since=NOW + 2)
    assert (only["version"], only["answers"]) == ("town:v1", 1)


def test_an_empty_log(database: sa.Engine) -> None:
    assert stats(database) == []
    assert query.events(database) == query.Page([], None)
