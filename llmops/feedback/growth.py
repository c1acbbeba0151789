"""How often feedback came into the log, by deployment: one row each, counted where rows are
inserted, so that whoever waits for feedback asks nothing of the log itself, however long it is.

It only ever says that there is something new; what it is, the log says.
"""

import time
from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa

from llmops.store.tables import marks

_PREFIX = "feedback:"


def note_growth(connection: sa.Connection, deployments: Iterable[str]) -> None:
    """deployments: of each event that came. connection: in a writing transaction."""
    for deployment, count in Counter(deployments).items():
        values = {
            "time": int(time.time() * 1000),
            "value": str(growth(connection, deployment) + count),
        }
        here = marks.c.name == _PREFIX + deployment
        if not connection.execute(sa.update(marks).where(here).values(values)).rowcount:
            connection.execute(sa.insert(marks).values(name=_PREFIX + deployment, **values))


def growth(connection: sa.Connection, deployment: str) -> int:
    """Events of a deployment that came in, those that were there before among them."""
    query = sa.select(marks.c.value).where(marks.c.name == _PREFIX + deployment)
    return int(connection.execute(query).scalar() or 0)
