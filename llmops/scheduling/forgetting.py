"""What is forgotten: lines of the history, jobs that have ended and what was told, once they are
old. Runs are not: their files are the truth about them."""

import sqlalchemy as sa

from llmops.store.database import writing
from llmops.store.tables import deliveries, firings, jobs

KEPT = 90 * 86_400_000
"""ms. Longer than any limit looks back, and than an event waits to be told."""
AT_ONCE = 1000
"""Rows of a table, so that nobody waits long for the database."""


def forget(database: sa.Engine, now: int) -> bool:
    """Delete what is old; whether there may be more of it. now: ms since 1970."""
    old = now - KEPT
    wanted = (
        (firings, firings.c.time < old),
        (jobs, sa.and_(jobs.c.created < old, jobs.c.ended < old)),
        (deliveries, deliveries.c.time < old),
    )
    with writing(database) as connection:
        return AT_ONCE in [_deleted(connection, *one) for one in wanted]


def _deleted(connection: sa.Connection, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    some = sa.select(table.c.id).where(old).limit(AT_ONCE)
    return connection.execute(sa.delete(table).where(table.c.id.in_(some))).rowcount
