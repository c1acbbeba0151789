"""The kill switch: while it is set, nothing starts by itself, from any scheduler."""

import json
from typing import Any

import sqlalchemy as sa

from llmops.store.tables import marks

NAME = "halt"


def halted(connection: sa.Connection) -> dict[str, Any] | None:
    """Who set it, why, and since when (ms since 1970); None when it is not set."""
    query = sa.select(marks.c.time, marks.c.value).where(marks.c.name == NAME)
    row = connection.execute(query).one_or_none()
    return None if row is None else {**json.loads(row.value), "since": int(row.time)}


def set_halt(connection: sa.Connection, by: str, why: str, now: int) -> None:
    """Set it; whoever set it first stays named. connection: in a writing transaction."""
    if halted(connection) is None:
        value = json.dumps({"by": by, "why": why})
        connection.execute(sa.insert(marks).values(name=NAME, time=now, value=value))


def end_halt(connection: sa.Connection) -> bool:
    """Whether it was set."""
    done = connection.execute(sa.delete(marks).where(marks.c.name == NAME))
    return bool(done.rowcount)
