"""Rows of the database as Polars frames, for bulk work: a million events in two to three seconds.

Read in portions through the drivers' own cursors and turned into columns there and then, so that
no Python code runs for a row and never more than a portion exists as Python objects. ADBC and
connectorx are a little faster on SQLite and need more memory (benchmarks/ingest.py measures all
three), but bring a second copy of SQLite into the process, and two copies undo each other's POSIX
locks: sqlite.org's first way to corrupt a database.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llmops.store.database import reading

if TYPE_CHECKING:
    import polars as pl

PORTION = 10_000


def rows_of(
    database: sa.Engine,
    table: sa.Table,
    deployment: str | None,
    *,
    since: int | None = None,
    columns: Sequence[str] | None = None,
) -> "pl.DataFrame":
    """What a deployment answered (`inferences`) or was told (`feedback`), in no order that one may
    count on (sorting doubles the memory); columns and their meaning as in store/tables.py, redacted
    rows included.

    deployment: None for all. since: only from this time on, milliseconds since 1970. columns: only
    these, in this order.
    """
    wanted = [*columns] if columns is not None else list(table.c.keys())
    query = sa.select(*(table.c[name] for name in wanted))
    if deployment is not None:
        query = query.where(table.c.deployment == deployment)
    if since is not None:
        query = query.where(table.c.time >= since)
    return read(database, query)


def read(database: sa.Engine, query: sa.Select[Any]) -> "pl.DataFrame":
    """What a query selects, in a frame with its columns and their types."""
    import polars as pl

    columns = query.selected_columns
    types = {column.name: _type(column) for column in columns}
    with reading(database) as connection, _no_collection():
        parts = [
            pl.DataFrame(
                [
                    pl.Series(name, values, dtype=kind)
                    for (name, kind), values in zip(
                        types.items(), zip(*rows, strict=True), strict=True
                    )
                ]
            )
            for rows in _portions(connection, query)
        ]
    whole = pl.concat(parts) if parts else pl.DataFrame(schema=types)
    flags = [column.name for column in columns if isinstance(column.type, sa.Boolean)]
    return whole.cast(dict.fromkeys(flags, pl.Boolean))


def _type(column: sa.ColumnElement[Any]) -> Any:
    """How a column is read: SQLite gives booleans as numbers."""
    import polars as pl

    if isinstance(column.type, sa.Integer | sa.Boolean):
        return pl.Int64
    return pl.Float64 if isinstance(column.type, sa.Float) else pl.String


def _portions(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Rows as the driver gives them, in portions; with PostgreSQL, the server holds the rest."""
    compiled = query.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        values: Any = [compiled.params[name] for name in compiled.positiontup or ()]
        cursor = driver.cursor()
    else:
        values = compiled.params
        cursor = driver.cursor(name="llmops_frame", binary=True)
    try:
        cursor.execute(str(compiled), values)
        while rows := cursor.fetchmany(PORTION):
            yield rows
    finally:
        cursor.close()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Rows are tuples without cycles; looking for some among millions takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
