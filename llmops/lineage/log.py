"""What the log knows of answers and events by their ids, from SQLite or PostgreSQL.

Few are looked up one by one, of many the whole table is read in bulk: a million events take as long
as two thousand look-ups.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl
    import sqlalchemy as sa

_FEW = 20_000


def rows(
    database: "sa.Engine", table: "sa.Table", ids: "pl.Series", *columns: str
) -> "pl.DataFrame":
    """`id` and these columns of the rows with one of these ids, each of which is named once."""
    import polars as pl
    import sqlalchemy as sa

    from llmops.feedback.frames import read
    from llmops.feedback.redaction import chunks

    query = sa.select(*(table.c[name] for name in ("id", *columns)))
    if len(ids) > _FEW:
        return read(database, query).join(ids.to_frame("id"), on="id", how="semi")
    found = [read(database, query.where(table.c.id.in_(some))) for some in chunks(sorted(ids))]
    return pl.concat(found) if found else read(database, query.where(sa.false()))


def user_rows(database: "sa.Engine", user: str) -> dict[str, list[str]]:
    """The ids of a user's answers, of the events that the user sent, and of those that others sent
    about the user's answers. user: as stored."""
    import sqlalchemy as sa

    from llmops.store.database import reading
    from llmops.store.tables import feedback, inferences

    asked = sa.select(inferences.c.id).where(inferences.c.user == user)
    about = feedback.c.inference.in_(asked) | feedback.c.other.in_(asked)
    with reading(database) as connection:
        return {
            "answers": list(connection.scalars(asked)),
            "events": list(
                connection.scalars(sa.select(feedback.c.id).where(feedback.c.user == user))
            ),
            "about": list(connection.scalars(sa.select(feedback.c.id).where(about))),
        }


def erasures(database: "sa.Engine", user: str) -> list[dict[str, Any]]:
    """What was erased of a user from snapshots: {time, snapshots: [{id, rows, versions, ...}]}."""
    import orjson
    import sqlalchemy as sa

    from llmops.store.database import reading
    from llmops.store.tables import tombstones

    query = sa.select(tombstones.c.time, tombstones.c.detail).where(tombstones.c.user == user)
    with reading(database) as connection:
        found = connection.execute(query.order_by(tombstones.c.time)).all()
    return [{"time": time, **orjson.loads(detail)} for time, detail in found]
