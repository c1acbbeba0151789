"""Idempotency keys: a request that is sent again is answered again, and does nothing twice.

A key belongs to who sent it and to what was sent, for a day. The answer is kept in the transaction
that does the work (`answer`), so a crash leaves both or neither. Knows nothing of HTTP.
"""

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from llmops.scheduling.clock import millis
from llmops.store.database import writing
from llmops.store.tables import requests

KEPT_SECONDS = 24 * 3600.0
BUSY_SECONDS = 60.0
"""After so long a request that has no answer was lost with its process."""


@dataclass(frozen=True)
class Claim:
    """new: do it. replay: it was answered, with `status` and `body`. busy: it is being answered
    now. other: the key came with another request."""

    kind: Literal["new", "replay", "busy", "other"]
    status: int = 0
    body: str = ""


def claim(database: sa.Engine, owner: str, key: str, digest: str, now: float) -> Claim:
    """Take a key for a request. owner: whose key it is; digest: sha256 of method, path and body;
    now: seconds. Of several at once one gets `new`."""
    row = _row(owner, key)
    with writing(database) as connection:
        _forget(connection, now)
        found = connection.execute(sa.select(requests).where(*row)).mappings().first()
        if found is None:
            values = {"owner": owner, "key": key, "time": millis(now), "digest": digest}
            connection.execute(requests.insert().values(**values))
            return Claim("new")
        if found["digest"] != digest:
            return Claim("other")
        if found["status"] is not None:
            return Claim("replay", found["status"], found["body"] or "")
        if found["time"] > millis(now - BUSY_SECONDS):
            return Claim("busy")
        connection.execute(requests.update().where(*row).values(time=millis(now)))
        return Claim("new")


def answer(connection: sa.Connection, owner: str, key: str, status: int, body: str) -> None:
    """Keep the answer, in the transaction of what it tells of."""
    values = {"status": status, "body": body}
    connection.execute(requests.update().where(*_row(owner, key)).values(**values))


def release(database: sa.Engine, owner: str, key: str) -> None:
    """Give a key back that nothing was done for: the request may be sent again at once."""
    with writing(database) as connection:
        unanswered = requests.c.status.is_(None)
        connection.execute(requests.delete().where(*_row(owner, key), unanswered))


def _row(owner: str, key: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return requests.c.owner == owner, requests.c.key == key


def _forget(connection: sa.Connection, now: float) -> None:
    connection.execute(requests.delete().where(requests.c.time < millis(now - KEPT_SECONDS)))
