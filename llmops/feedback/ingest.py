"""The ingester: from the journal into the database, whatever interrupts it.

Rows and the position up to which a segment was read are committed together; a segment is taken
away after the commit that finishes it. So it may be killed anywhere: what is read again is ignored
by its id. One ingester works on a journal at a time, others wait. Several journals (of several
machines) may go into one PostgreSQL. Damaged lines are reported, and kept as they are in
.llmops/damaged/.

    llmops feedback ingest [--follow]
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from llmops.errors import Failed
from llmops.feedback import segments
from llmops.feedback.batch import insert
from llmops.feedback.rows import Newer, Row, Unreadable, feedback_row, inference_row, parse
from llmops.feedback.segments import Damage, Segment
from llmops.spec.settings import Settings
from llmops.store.atomic import full_disk
from llmops.store.database import open_database, reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import positions

BATCH = 5_000
"""Records to a transaction."""
READ_BYTES = 4 << 20
LOCK_SECONDS = 300.0


@dataclass
class Ingested:
    """What one pass brought. inferences, feedback: new rows; repeated: records that were there;
    damaged: lines that are no record; segments: finished and taken away."""

    inferences: int = 0
    feedback: int = 0
    repeated: int = 0
    damaged: list[Damage] = field(default_factory=list)
    segments: int = 0


def ingest(paths: ProjectPaths, database: sa.Engine) -> Ingested:
    """Bring in what the journal holds by now.

    Raises Failed when the database cannot be written, or another ingester does not end; nothing
    is lost then.
    """
    if not segments.writers(paths.journal):
        return Ingested()
    with _alone(paths):
        return _Pass(paths, database).run()


def fresh(settings: Settings, paths: ProjectPaths) -> sa.Engine:
    """The database with all that the journal holds by now: what analysis should begin with."""
    database = open_database(settings)
    try:
        ingest(paths, database)
    except BaseException:
        database.dispose()
        raise
    return database


@contextmanager
def _alone(paths: ProjectPaths) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(paths.lock("ingest"), timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise Failed(
            "another ingester does not end",
            where=str(paths.lock("ingest")),
            fix="end it, and run this again; nothing is lost",
        ) from None
    try:
        yield
    finally:
        lock.release()


class _Pass:
    """One pass over a journal, alone on it."""

    def __init__(self, paths: ProjectPaths, database: sa.Engine) -> None:
        self._paths = paths
        self._database = database
        self._done = Ingested()
        self._answers: list[Row] = []
        self._events: list[Row] = []
        self._damaged: list[tuple[Segment, Damage, bytes]] = []
        self._read: dict[Segment, int] = {}
        self._finished: list[Segment] = []

    def run(self) -> Ingested:
        positions = self._positions()
        for writer in segments.writers(self._paths.journal):
            found = segments.segments(self._paths.journal, writer)
            for segment in found:
                # Asked before the reading that may be the last; what has a successor is closed.
                closed = segment is not found[-1] or segments.is_closed(segment)
                self._segment(segment, closed, positions.get((writer, segment.name), 0))
        self._commit()
        segments.sweep(self._paths.journal)
        return self._done

    def _positions(self) -> dict[tuple[str, str], int]:
        writers = segments.writers(self._paths.journal)
        query = sa.select(positions).where(positions.c.writer.in_(writers))
        with reading(self._database) as connection:
            return {(row.writer, row.segment): row.offset for row in connection.execute(query)}

    def _segment(self, segment: Segment, closed: bool, offset: int) -> None:
        while text := segments.whole_lines(segment.path, offset, READ_BYTES):
            read = self._lines(segment, offset, text)
            if read == offset:
                return
            self._read[segment] = offset = read
            if len(self._answers) + len(self._events) >= BATCH:
                self._commit()
        if closed:
            self._read.pop(segment, None)
            self._finished.append(segment)

    def _lines(self, segment: Segment, offset: int, text: bytes) -> int:
        """Take whole lines in: the offset of the first that was not taken, for a newer llmops."""
        received, begin = int(time.time() * 1000), offset
        for line in text.split(b"\n")[:-1]:
            try:
                self._record(parse(line), received)
            except Unreadable as error:
                damage = Damage(segment.path, offset, str(error))
                if isinstance(error, Newer):
                    self._done.damaged += [damage] if offset == begin else []
                    break
                self._damaged.append((segment, damage, line))
            offset += len(line) + 1
        return offset

    def _record(self, record: dict[str, Any], received: int) -> None:
        kind = record.get("type")
        if kind == "inference":
            self._answers.append(inference_row(record))
        elif kind == "feedback":
            self._events.append(feedback_row(record, received))
        else:
            raise Unreadable(f"type {kind!r} is neither inference nor feedback")

    def _commit(self) -> None:
        """Rows and positions together; then the segments that are done go."""
        if not self._read and not self._finished:
            return
        for segment, _, line in self._damaged:
            _keep(self._paths.damaged(segment.writer, segment.name), line)
        with writing(self._database) as connection:
            counts = insert(connection, self._answers, self._events)
            for segment in [*self._read, *self._finished]:
                here = sa.and_(
                    positions.c.writer == segment.writer, positions.c.segment == segment.name
                )
                connection.execute(sa.delete(positions).where(here))
            rows = [
                {"writer": segment.writer, "segment": segment.name, "offset": offset}
                for segment, offset in self._read.items()
            ]
            if rows:
                connection.execute(sa.insert(positions), rows)
        for segment in self._finished:
            segments.remove(segment)
        self._count(counts)

    def _count(self, counts: tuple[int, int]) -> None:
        done = self._done
        done.inferences += counts[0]
        done.feedback += counts[1]
        done.repeated += len(self._answers) + len(self._events) - sum(counts)
        done.damaged += [damage for _, damage, _ in self._damaged]
        done.segments += len(self._finished)
        self._answers, self._events, self._damaged = [], [], []
        self._read, self._finished = {}, []


def _keep(file: Path, line: bytes) -> None:
    """What was already kept, when the commit after it did not happen, is there twice then."""
    with full_disk(file):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file.open("ab") as opened:
            opened.write(line + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
