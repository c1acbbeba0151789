"""Who works on the queue: each process leaves a sign in the database, new every few seconds.

One on this host is told by its process, one on another by the age of its sign; so the clocks of the
hosts must agree to within a minute.
"""

import json
import os
import socket
from collections.abc import Sequence

import sqlalchemy as sa

from llmops.scheduling.clock import millis
from llmops.store.database import writing
from llmops.store.liveness import BEAT_SECONDS, is_alive, process_mark
from llmops.store.tables import marks

SILENT_SECONDS = 60.0
KINDS = ("scheduler", "interim")
"""interim: one that ends with the queue (interim.py)."""


class Sign:
    """This process's, as a scheduler or an interim one."""

    def __init__(self, kind: str = "scheduler") -> None:
        self._given = float("-inf")
        self._name = f"{kind} {os.getpid()} {socket.gethostname()}"[:160]

    def give(self, database: sa.Engine, now: float) -> None:
        """Leave it, if the last one is old; those of the dead are taken away. now: seconds."""
        if 0 <= now - self._given < BEAT_SECONDS:
            return
        me = {"host": socket.gethostname(), "pid": os.getpid()}
        value = json.dumps({**me, "process_started": process_mark(os.getpid())})
        with writing(database) as connection:
            gone = [row.name for row in _rows(connection, KINDS) if not _lives(row, now)]
            connection.execute(sa.delete(marks).where(marks.c.name.in_([*gone, self._name])))
            row = {"name": self._name, "time": millis(now), "value": value}
            connection.execute(sa.insert(marks).values(row))
        self._given = now

    def take(self, database: sa.Engine) -> None:
        """Take it away, at the end."""
        with writing(database) as connection:
            connection.execute(sa.delete(marks).where(marks.c.name == self._name))


def at_work(connection: sa.Connection, now: float, *kinds: str) -> bool:
    """Whether somebody lives, of these kinds (default: any), who starts what is queued. now:
    seconds."""
    return any(_lives(row, now) for row in _rows(connection, kinds or KINDS))


def _rows(connection: sa.Connection, kinds: Sequence[str]) -> list[sa.Row[tuple[str, int, str]]]:
    named = sa.or_(*(marks.c.name.startswith(f"{kind} ") for kind in kinds))
    query = sa.select(marks.c.name, marks.c.time, marks.c.value).where(named)
    return list(connection.execute(query))


def _lives(row: sa.Row[tuple[str, int, str]], now: float) -> bool:
    sign = json.loads(row.value)
    if sign["host"] == socket.gethostname():
        return is_alive(int(sign["pid"]), str(sign["process_started"]))
    return abs(now - int(row.time) / 1000) < SILENT_SECONDS
