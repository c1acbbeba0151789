"""Questions about the log: events and answers by page, one answer with all that is known of it.

Pages are cut by key (time and id, newest first), so they neither repeat nor skip a row when others
come in meanwhile. Figures about the whole are in figures.py, bulk work in frames.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from llmops.errors import BadInput, NotFound
from llmops.feedback.identity import bare
from llmops.feedback.rows import inference_record, loaded
from llmops.store.database import reading
from llmops.store.tables import feedback, inferences

_JSON = ("messages", "parameters", "choices", "detail")


@dataclass(frozen=True)
class Filters:
    """What to list; None: any. user: as stored (identity.Identity.user). source: `real` for what
    has none. since: milliseconds since 1970."""

    deployment: str | None = None
    variant: str | None = None
    version: str | None = None
    kind: str | None = None
    user: str | None = None
    source: str | None = None
    since: int | None = None


@dataclass(frozen=True)
class Page:
    """Rows as dictionaries, newest first; after: what to go on with, None at the end."""

    rows: list[dict[str, Any]]
    after: str | None


def events(
    database: sa.Engine, filters: Filters | None = None, *, after: str | None = None, size: int = 50
) -> Page:
    """Feedback events with the variant and version that they are about (None when the answer is
    not in the log). Raises BadInput for a bad `after`."""
    about = feedback.outerjoin(inferences, feedback.c.inference == inferences.c.id)
    columns = [*feedback.c, inferences.c.variant, inferences.c.version]
    query = sa.select(*columns).select_from(about)
    return _page(database, query, feedback, filters or Filters(), after, size)


def answers(
    database: sa.Engine, filters: Filters | None = None, *, after: str | None = None, size: int = 50
) -> Page:
    """Inferences. A kind: those that have such feedback."""
    wanted = filters or Filters()
    query = sa.select(inferences)
    if wanted.kind is not None:
        rated = sa.select(feedback.c.inference).where(feedback.c.kind == wanted.kind)
        query = query.where(inferences.c.id.in_(rated))
    return _page(database, query, inferences, wanted, after, size)


def _page(
    database: sa.Engine,
    query: sa.Select[Any],
    table: sa.Table,
    filters: Filters,
    after: str | None,
    size: int,
) -> Page:
    for condition in _conditions(table, filters):
        query = query.where(condition)
    key = sa.tuple_(table.c.time, table.c.id)
    if after is not None:
        query = query.where(key < sa.tuple_(*_cursor(after)))
    query = query.order_by(table.c.time.desc(), table.c.id.desc()).limit(size + 1)
    with reading(database) as connection:
        rows = [plain(row) for row in connection.execute(query).mappings()]
    if len(rows) <= size:
        return Page(rows, None)
    return Page(rows[:size], f"{rows[size - 1]['time']},{rows[size - 1]['id']}")


def _conditions(table: sa.Table, filters: Filters) -> list[sa.ColumnElement[bool]]:
    found = []
    equal = {
        table.c.deployment: filters.deployment,
        inferences.c.variant: filters.variant,
        inferences.c.version: filters.version,
        table.c.user: filters.user,
    }
    for column, value in equal.items():
        if value is not None:
            found.append(column == value)
    if filters.kind is not None and table is feedback:
        found.append(feedback.c.kind == filters.kind)
    if filters.source is not None:
        real = filters.source == "real"
        found.append(table.c.source.is_(None) if real else table.c.source == filters.source)
    if filters.since is not None:
        found.append(table.c.time >= filters.since)
    return found


def _cursor(after: str) -> tuple[int, str]:
    time, comma, name = after.partition(",")
    if not comma or not re.fullmatch("-?[0-9]{1,19}", time) or abs(int(time)) >= 2**63:
        raise BadInput(
            f"`{after[:80]}` is no place in a list",
            fix="pass --after what the page before ended with",
        )
    return int(time), name


def plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with its JSON columns read."""
    return {key: loaded(value) if key in _JSON else value for key, value in row.items()}


def show(database: sa.Engine, name: str) -> dict[str, Any]:
    """One answer: `inference`, its `events` oldest first (also those that compare it with another
    one), and `group`, the ids of what was asked beside it. name: the id of the answer (as a client
    saw it) or of an event about it. Raises BadInput when there is none.
    """
    with reading(database) as connection:
        id_: str | None = bare(name)
        row = _inference(connection, id_)
        if row is None:
            about = sa.select(feedback.c.inference).where(feedback.c.id == name)
            id_ = connection.execute(about).scalar()
            if id_ is None:
                raise NotFound(
                    f"there is no answer and no event `{name[:80]}` in the log",
                    fix="`llmops feedback list` shows the ids; the newest events may still be on "
                    "their way from another machine",
                )
            row = _inference(connection, id_)
        found = None if row is None else plain(row)
        events = connection.execute(
            sa.select(feedback)
            .where((feedback.c.inference == id_) | (feedback.c.other == id_))
            .order_by(feedback.c.time, feedback.c.id)
        )
        return {
            "id": id_,
            "inference": found,
            "events": [plain(row) for row in events.mappings()],
            "group": _group(connection, found),
        }


def inference(database: sa.Engine, name: str) -> dict[str, Any]:
    """One answer as the record that the gateway wrote. Raises BadInput when there is none, or when
    its texts are erased."""
    with reading(database) as connection:
        row = _inference(connection, bare(name))
    if row is None:
        raise NotFound(
            f"there is no answer `{name[:80]}` in the log", fix="`llmops feedback list --answers`"
        )
    if row["redacted"] is not None:
        raise BadInput(f"the texts of `{name[:80]}` are erased")
    return inference_record(row)


def _inference(connection: sa.Connection, id_: str | None) -> Mapping[Any, Any] | None:
    query = sa.select(inferences).where(inferences.c.id == id_)
    return connection.execute(query).mappings().one_or_none()


def _group(connection: sa.Connection, found: dict[str, Any] | None) -> list[str]:
    if found is None or found["group_id"] is None:
        return []
    query = sa.select(inferences.c.id).where(inferences.c.group_id == found["group_id"])
    return sorted(set(connection.scalars(query)) - {found["id"]})
