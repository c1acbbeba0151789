"""What the log knows of answers and events by their ids, from SQLite or PostgreSQL.

Few are looked up by their ids; for many the whole table is read in bulk, once: a million events
take as long as some ten thousand look-ups.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl
    import sqlalchemy as sa

_FEW = 20_000


class Log:
    """Remembers what it read in bulk."""

    def __init__(self, database: "sa.Engine") -> None:
        self.database = database
        self._whole: dict[str, pl.DataFrame] = {}

    def rows(self, table: str, ids: "pl.Series", *columns: str) -> "pl.DataFrame":
        """`key` (of the id) and these columns of the rows with one of these ids, and maybe of
        others. table: `inferences` or `feedback`, always with the same columns."""
        import sqlalchemy as sa

        from llmops.feedback.redaction import chunks
        from llmops.store import tables

        if table in self._whole:
            return self._whole[table]
        asked: sa.Table = getattr(tables, table)
        query = sa.select(*(asked.c[name] for name in ("id", *columns)))
        if len(ids) > _FEW:
            self._whole[table] = self._read([query])
            return self._whole[table]
        some = chunks(ids.unique())
        return self._read([query.where(asked.c.id.in_(one)) for one in some] or [query.limit(0)])

    def _read(self, queries: "list[sa.Select[Any]]") -> "pl.DataFrame":
        import polars as pl

        from llmops.feedback.frames import read

        found = pl.concat([read(self.database, one) for one in queries])
        return found.with_columns(key=key("id")).drop("id")


def key(column: str) -> "pl.Expr":
    """A number for each id: joined by text, a million of them take ten times as long."""
    import polars as pl

    return pl.col(column).hash(4)


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
