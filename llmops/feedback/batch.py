"""Rows on their way into the database: insert what is new, leave what is there.

A row whose id is there already is ignored, so a repeated or re-read record is one row. The import
of exports uses it as the ingester does.
"""

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from llmops.feedback.growth import note_growth
from llmops.feedback.redaction import (
    forgotten,
    redact_events_about,
    redact_late,
    redacted_among,
)
from llmops.feedback.rows import FEEDBACK_COLUMNS, INFERENCE_COLUMNS, Row

_INFERENCE = FEEDBACK_COLUMNS.index("inference")
_DEPLOYMENT = FEEDBACK_COLUMNS.index("deployment")
_TEXT, _DETAIL = FEEDBACK_COLUMNS.index("text"), FEEDBACK_COLUMNS.index("detail")


def insert(connection: sa.Connection, answers: list[Row], events: list[Row]) -> tuple[int, int]:
    """Insert rows of `inferences` and `feedback`; how many of each were new.

    Texts of users who were forgotten do not come in again. connection: in a writing transaction.
    """
    users = forgotten(connection)
    now = int(time.time() * 1000)
    about: set[str] = set()
    if users:
        answers, events, late = redact_late((answers, events), users, now)
        said = {row[_INFERENCE] for row in events if row[_TEXT] or row[_DETAIL]}
        about.update(late)
    counts = (
        _insert(connection, "inferences", INFERENCE_COLUMNS, answers),
        _insert(connection, "feedback", FEEDBACK_COLUMNS, events),
    )
    if counts[1]:
        note_growth(connection, (row[_DEPLOYMENT] for row in events))
    if users:
        about |= redacted_among(connection, said, users)
        redact_events_about(connection, about, now)
    return counts


def _insert(connection: sa.Connection, table: str, columns: Sequence[str], rows: list[Row]) -> int:
    if not rows:
        return 0
    names = ", ".join(f'"{column}"' for column in columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        # Not OR IGNORE, which would also ignore a missing value.
        text = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"
        return connection.exec_driver_sql(text, rows).rowcount
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        staging = f"staged_{table}"
        cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS {staging} (LIKE {table}) ON COMMIT DROP")
        with cursor.copy(f"COPY {staging} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {staging}"
            " ON CONFLICT (id) DO NOTHING"
        )
        count = int(cursor.rowcount)
        cursor.execute(f"TRUNCATE {staging}")
        return count
