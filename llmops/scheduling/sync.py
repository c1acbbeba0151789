"""The rows of triggers kept in step with what the files declare.

A row is never deleted: pause and history outlive an edit, and a file that is broken or away for a
while (an editor, a checkout) comes back to what it was.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from llmops.scheduling.calendar import next_time
from llmops.scheduling.declared import Declared, DeclaredTrigger
from llmops.spec.trigger import Trigger
from llmops.store.database import reading, writing
from llmops.store.tables import triggers

_WHEN = ("cron", "timezone", "every", "feedback", "webhook")


def sync(database: sa.Engine, found: Declared, now: int) -> list[sa.RowMapping]:
    """Write what changed, nothing where nothing did; the rows as they are then. now: ms since
    1970."""
    with reading(database) as connection:
        rows = _rows(connection)
    if not _changes(rows, found, now):
        return list(rows.values())
    with writing(database) as connection:
        for id, values in _changes(_rows(connection), found, now).items():
            if "pipeline" in values:
                connection.execute(sa.insert(triggers).values(id=id, **values))
            else:
                connection.execute(sa.update(triggers).where(triggers.c.id == id).values(**values))
        return list(_rows(connection).values())


def heal(database: sa.Engine, now: int) -> list[sa.RowMapping]:
    """Set back what lies later than the next time from now: the clock was ahead, and is right
    again. What was due twice by that fires once (`firings_once`). The rows as they are then."""
    with writing(database) as connection:
        for row in _rows(connection).values():
            if row["next_at"] is None or row["next_at"] <= now:
                continue
            early = next_time(trigger_of(row), now, row["next_at"])
            if early is not None and early < row["next_at"]:
                here = triggers.c.id == row["id"]
                connection.execute(sa.update(triggers).where(here).values(next_at=early))
        return list(_rows(connection).values())


def trigger_of(row: sa.RowMapping) -> Trigger:
    """The trigger that a row stands for."""
    return Trigger.model_validate(json.loads(row["declared"])["trigger"])


def seen_of(row: sa.RowMapping) -> dict[str, Any]:
    """What the last look found."""
    found = json.loads(row["seen"] or "{}")
    assert isinstance(found, dict)
    return found


def _rows(connection: sa.Connection) -> dict[str, sa.RowMapping]:
    found = connection.execute(sa.select(triggers)).mappings()
    return {row["id"]: row for row in found}


def _changes(
    rows: Mapping[str, sa.RowMapping], found: Declared, now: int
) -> dict[str, dict[str, Any]]:
    """The values to write, by the trigger's id."""
    wanted = {id: _declared(one, rows.get(id), now) for id, one in found.triggers.items()}
    missing = (row for id, row in rows.items() if id not in found.triggers)
    wanted |= _gone(missing, found, now)
    return {id: values for id, values in wanted.items() if values}


def _declared(one: DeclaredTrigger, row: sa.RowMapping | None, now: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        "file": one.file,
        "kind": one.trigger.kind,
        "declared": one.stored,
    }
    if row is None:
        return {**values, "pipeline": one.pipeline, "next_at": next_time(one.trigger, now)}
    seen = seen_of(row)
    if row["gone"] is not None:
        seen.pop("gone", None)
        values |= {"gone": None, "seen": json.dumps(seen)}
    if _moved(row["declared"], one.stored) or (row["gone"] is not None and row["next_at"] is None):
        values["next_at"] = next_time(one.trigger, now)
    return {key: value for key, value in values.items() if row[key] != value}


def _moved(before: str, after: str) -> bool:
    """Whether it is another calendar, or another kind of trigger."""
    if before == after:
        return False
    was, is_now = (json.loads(text)["trigger"] for text in (before, after))
    return any(was.get(key) != is_now.get(key) for key in _WHEN)


def _gone(rows: Iterable[sa.RowMapping], found: Declared, now: int) -> dict[str, dict[str, Any]]:
    """Gone, with the reason; told once, when it would have fired (triggers.py)."""
    changes: dict[str, dict[str, Any]] = {}
    for row in rows:
        seen = seen_of(row)
        reason = found.why_gone(row["id"], row["file"])
        if row["gone"] is not None and seen.get("gone") == reason:
            continue
        seen["gone"] = reason
        since = now if row["gone"] is None else row["gone"]
        changes[row["id"]] = {"gone": since, "seen": json.dumps(seen)}
        if row["gone"] is None:
            seen.pop("told", None)
            changes[row["id"]]["seen"] = json.dumps(seen)
    return changes
