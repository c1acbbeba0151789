"""Taking texts out of rows: of a user who is forgotten, and of what is older than its retention.

A redacted row keeps its id, times, versions and figures, so that counts and lineage stay true;
what was said is gone, and `redacted` says since when. What a user sent or got, and what anybody
said about it, are redacted alike. The callers bring the transaction; `purge` makes sure afterwards
that the database's files do not hold the old texts.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from llmops.feedback.rows import FEEDBACK_COLUMNS, INFERENCE_COLUMNS, Row
from llmops.store.database import told, writing
from llmops.store.tables import feedback, inferences, tombstones

INFERENCE_TEXTS = ("messages", "parameters", "choices", "response")
FEEDBACK_TEXTS = ("text", "detail")
ERASED = "erased"
"""Stands for an error's words, so that it still counts as one."""
_IDS = 500
_CLEARED: dict[str, Any] = {
    **dict.fromkeys(INFERENCE_TEXTS),
    **dict.fromkeys(FEEDBACK_TEXTS),
    "prompt_hash": "",
}


def redacted_row(row: Row, columns: Sequence[str], now: int) -> Row:
    """The row without its texts. now: milliseconds since 1970."""
    cleared = {**_CLEARED, "redacted": now}
    if "error" in columns and row[columns.index("error")] is not None:
        cleared["error"] = ERASED
    return tuple(cleared.get(name, value) for name, value in zip(columns, row, strict=True))


def forgotten(connection: sa.Connection) -> dict[str, int]:
    """Users who were forgotten, and when last, in milliseconds."""
    query = sa.select(tombstones.c.user, sa.func.max(tombstones.c.time)).group_by(tombstones.c.user)
    return {row[0]: row[1] for row in connection.execute(query)}


def redact_inferences(connection: sa.Connection, where: Any, now: int) -> int:
    """Redact the inferences that a condition names; how many."""
    error = sa.case((inferences.c.error.is_not(None), ERASED))
    texts = dict.fromkeys(INFERENCE_TEXTS)
    values = {"redacted": now, "prompt_hash": "", "error": error, **texts}
    todo = sa.update(inferences).where(where, inferences.c.redacted.is_(None)).values(values)
    return connection.execute(todo).rowcount


def redact_feedback(connection: sa.Connection, where: Any, now: int) -> int:
    """Redact the events that a condition names; how many."""
    values = {"redacted": now, **dict.fromkeys(FEEDBACK_TEXTS)}
    todo = sa.update(feedback).where(where, feedback.c.redacted.is_(None)).values(values)
    return connection.execute(todo).rowcount


def redact_events_about(connection: sa.Connection, ids: Iterable[str], now: int) -> int:
    """Redact what was said about these inferences, by whomever."""
    count = 0
    for some in chunks(ids):
        about = feedback.c.inference.in_(some) | feedback.c.other.in_(some)
        count += redact_feedback(connection, about, now)
    return count


def redact_late(
    rows: tuple[list[Row], list[Row]], users: dict[str, int], now: int
) -> tuple[list[Row], list[Row], list[str]]:
    """New rows (inferences, events) with those of forgotten users redacted, unless they were made
    after the user was forgotten; also the ids of the inferences among them."""
    time, user = INFERENCE_COLUMNS.index("time"), INFERENCE_COLUMNS.index("user")
    answers, ids = [], []
    for row in rows[0]:
        if row[user] in users and row[time] <= users[row[user]]:
            ids.append(row[0])
            row = redacted_row(row, INFERENCE_COLUMNS, now)
        answers.append(row)
    time, user = FEEDBACK_COLUMNS.index("time"), FEEDBACK_COLUMNS.index("user")
    events = [
        redacted_row(row, FEEDBACK_COLUMNS, now)
        if row[user] in users and row[time] <= users[row[user]]
        else row
        for row in rows[1]
    ]
    return answers, events, ids


def redacted_among(
    connection: sa.Connection, ids: Collection[str], users: dict[str, int]
) -> set[str]:
    """Which of these inferences are redacted because their user was forgotten."""
    found: set[str] = set()
    for some in chunks(ids):
        query = sa.select(inferences.c.id).where(
            inferences.c.id.in_(some),
            inferences.c.redacted.is_not(None),
            inferences.c.user.in_(list(users)),
        )
        found.update(connection.scalars(query))
    return found


def expire(engine: sa.Engine, deployment: str, before: int, now: int) -> tuple[int, int]:
    """Redact what a deployment answered and was told before a time (milliseconds since 1970): how
    many inferences and events. Raises Failed."""
    with writing(engine) as connection:
        answers = sa.and_(inferences.c.deployment == deployment, inferences.c.time < before)
        events = sa.and_(feedback.c.deployment == deployment, feedback.c.time < before)
        counts = (
            redact_inferences(connection, answers, now),
            redact_feedback(connection, events, now),
        )
    if any(counts):
        purge(engine)
    return counts


def purge(engine: sa.Engine) -> bool:
    """Have the database's own files lose the texts that were redacted; whether all of them did.

    SQLite overwrites erased text by itself (secure_delete), and what its write-ahead log holds is
    moved and cut here; False when a reader keeps the log longer than the busy timeout.
    PostgreSQL's tables are vacuumed; its own write-ahead log and backups are the server's affair.
    """
    with told(engine):
        if engine.dialect.name != "sqlite":
            alone = engine.execution_options(isolation_level="AUTOCOMMIT")
            with alone.connect() as connection:
                connection.exec_driver_sql("VACUUM inferences, feedback")
            return True
        pooled = engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        finally:
            pooled.close()


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Ids in portions that a statement takes."""
    rest = iter(ids)
    while some := list(itertools.islice(rest, _IDS)):
        yield some
