"""Idempotency keys, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from llmops.scheduling.requests import BUSY_SECONDS, KEPT_SECONDS, Claim, answer, claim, release
from llmops.store.database import writing

NOW = 1_800_000_000.0


def ask(database: sa.Engine, digest: str = "d", now: float = NOW, owner: str = "api:a") -> Claim:
    return claim(database, owner, "key", digest, now)


def answered(database: sa.Engine) -> None:
    with writing(database) as connection:
        answer(connection, "api:a", "key", 202, '{"id": "r"}')


def test_an_answer_is_given_again(database: sa.Engine) -> None:
    assert ask(database).kind == "new"
    answered(database)
    assert ask(database) == Claim("replay", 202, '{"id": "r"}')


def test_of_many_at_once_one_is_new(database: sa.Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        kinds = list(pool.map(lambda _: ask(database).kind, range(16)))
    assert sorted(kinds) == ["busy"] * 15 + ["new"]


def test_a_key_is_of_one_request(database: sa.Engine) -> None:
    ask(database)
    assert ask(database, "other").kind == "other"
    answered(database)
    assert ask(database, "other").kind == "other"


def test_a_key_is_of_one_owner(database: sa.Engine) -> None:
    ask(database)
    assert ask(database, owner="api:b").kind == "new"


def test_what_was_given_back_is_new(database: sa.Engine) -> None:
    ask(database)
    release(database, "api:a", "key")
    assert ask(database).kind == "new"


def test_what_was_answered_is_not_given_back(database: sa.Engine) -> None:
    ask(database)
    answered(database)
    release(database, "api:a", "key")
    assert ask(database).kind == "replay"


@pytest.mark.parametrize(("later", "kind"), [(-1, "busy"), (0, "new")])
def test_what_a_crash_left_unanswered_is_asked_anew(
    database: sa.Engine, later: int, kind: str
) -> None:
    ask(database)
    assert ask(database, now=NOW + BUSY_SECONDS + later).kind == kind


@pytest.mark.parametrize(("later", "kind"), [(0, "replay"), (1, "new")])
def test_a_key_is_kept_for_a_day(database: sa.Engine, later: int, kind: str) -> None:
    ask(database)
    answered(database)
    assert ask(database, now=NOW + KEPT_SECONDS + later).kind == kind
