"""The log as JSON lines, for a client that may be slow: read in portions, in transactions of their
own, so that nothing is held up meanwhile. What comes in while it is read may be in it or not."""

from collections.abc import Iterator

import sqlalchemy as sa

from llmops.feedback.rows import canonical, feedback_record, inference_record
from llmops.store.database import reading
from llmops.store.tables import feedback, inferences

PORTION = 1_000


def lines(
    database: sa.Engine, *, deployment: str | None = None, since: int | None = None
) -> Iterator[bytes]:
    """Answers, then events, as `llmops feedback export` writes them. since: milliseconds since
    1970."""
    for table, record in ((inferences, inference_record), (feedback, feedback_record)):
        query = sa.select(table).order_by(table.c.id).limit(PORTION)
        if deployment is not None:
            query = query.where(table.c.deployment == deployment)
        if since is not None:
            query = query.where(table.c.time >= since)
        last = ""
        while True:
            with reading(database) as connection:
                rows = connection.execute(query.where(table.c.id > last)).mappings().all()
            if not rows:
                break
            last = rows[-1]["id"]
            yield b"".join(canonical(record(row)).encode() + b"\n" for row in rows)
