"""What triggers did: each firing, and each that was held back, with its reason."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from llmops.errors import BadInput
from llmops.scheduling.due import shown
from llmops.store.tables import firings, triggers

COLUMNS = ("time", "trigger", "outcome", "why", "run")


def history(
    connection: sa.Connection, trigger: str | None, limit: int = 50, after: str | None = None
) -> dict[str, Any]:
    """A page of {"items", "next"}, the newest first. trigger: of one only; after: the `next` of the
    page before. Raises BadInput for a bad `after`."""
    query = sa.select(firings).order_by(firings.c.time.desc(), firings.c.id.desc())
    if trigger is not None:
        query = query.where(firings.c.trigger == trigger)
    if after is not None:
        here = sa.tuple_(firings.c.time, firings.c.id)
        query = query.where(here < sa.tuple_(*_key(after)))
    rows = list(connection.execute(query.limit(limit + 1)).mappings())
    more = f"{rows[limit - 1]['time']}_{rows[limit - 1]['id']}" if len(rows) > limit else None
    return {"items": [item(row) for row in rows[:limit]], "next": more}


def newest(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """The last firing of each trigger: of the latest time that was due, which an index knows."""
    due = sa.select(sa.func.max(firings.c.due)).where(firings.c.trigger == triggers.c.id)
    last = sa.select(triggers.c.id, due.scalar_subquery())
    here = sa.tuple_(firings.c.trigger, firings.c.due).in_(last)
    rows = connection.execute(sa.select(firings).where(here)).mappings()
    return {row["trigger"]: item(row) for row in rows}


def item(row: Any) -> dict[str, Any]:
    """due: when it should have fired; time: when that was dealt with."""
    kept = {name: row[name] for name in ("id", "trigger", "outcome", "reason", "job")}
    return {**kept, "due": shown(row["due"]), "time": shown(row["time"])}


def row_of(found: dict[str, Any]) -> Sequence[str]:
    """For people."""
    return tuple(found[key] or "" for key in ("due", "trigger", "outcome", "reason", "job"))


def _key(after: str) -> tuple[int, str]:
    time, underscore, id = after.partition("_")
    if not (time.isascii() and time.isdigit() and underscore and len(time) < 19):
        raise BadInput("`after` is not what a page before said")
    return int(time), id
