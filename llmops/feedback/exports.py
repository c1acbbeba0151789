"""`llmops feedback export`: the log as files, for other tools and other projects.

JSON lines hold the gateway's own records (records.py), which `llmops feedback import` reads again;
Parquet holds the tables as they are. Users are in both as they are stored, hashed.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from llmops.errors import BadInput, Failed
from llmops.feedback.frames import rows_of
from llmops.feedback.rows import canonical, feedback_record, inference_record
from llmops.spec.source import display
from llmops.store.atomic import new_file
from llmops.store.database import reading
from llmops.store.tables import feedback, inferences

_PORTION = 1_000


def export(
    database: sa.Engine,
    target: Path | None,
    *,
    format: str = "jsonl",
    deployment: str | None = None,
    since: int | None = None,
) -> tuple[int, int]:
    """Write answers and events (how many of each) to `target`: a file of JSON lines (None: standard
    output), or a directory for inferences.parquet and feedback.parquet.

    A file appears whole or not at all. since: milliseconds since 1970. Raises BadInput for another
    format than jsonl and parquet, Failed when it cannot be written.
    """
    if format not in ("jsonl", "parquet"):
        raise BadInput(f"`{format}` is no format", where="--format", fix="jsonl or parquet")
    if format == "parquet":
        if target is None:
            raise BadInput("Parquet needs a directory", fix="llmops feedback export DIR ...")
        return _parquet(database, target, deployment, since)
    with reading(database) as connection, _file(target) as file:
        streamed = connection.execution_options(yield_per=_PORTION)
        counts = [0, 0]
        for number, (table, record) in enumerate(
            ((inferences, inference_record), (feedback, feedback_record))
        ):
            query = sa.select(table).order_by(table.c.id)
            if deployment is not None:
                query = query.where(table.c.deployment == deployment)
            if since is not None:
                query = query.where(table.c.time >= since)
            for row in streamed.execute(query).mappings():
                file.write(canonical(record(row)).encode() + b"\n")
                counts[number] += 1
    return counts[0], counts[1]


def _parquet(
    database: sa.Engine, target: Path, deployment: str | None, since: int | None
) -> tuple[int, int]:
    counts = []
    for table in (inferences, feedback):
        frame = rows_of(database, table, deployment, since=since).sort("time", "id")
        with _file(target / f"{table.name}.parquet") as file:
            frame.write_parquet(file)
        counts.append(frame.height)
    return counts[0], counts[1]


@contextmanager
def _file(target: Path | None) -> Iterator[BinaryIO]:
    """A file that takes its name when it is whole."""
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with new_file(target) as file:
            yield file
    except OSError as error:
        raise Failed(f"cannot be written: {error.strerror}", where=display(target)) from error
