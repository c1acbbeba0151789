"""The ingester: from the journal into the database, whatever interrupts it.

Rows and the position up to which a segment was read are committed together; a segment is taken
away after the commit that finishes it. So it may be killed anywhere: what is read again is ignored
by its id. One ingester works on a journal at a time, others wait. Several journals (of several
machines) may go into one PostgreSQL. Damaged lines are reported, and their segment is kept.

    llmops feedback ingest [--follow]
"""

import threading
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


@dataclass
class _Place:
    """How far a segment was read: bytes, and damaged lines before."""

    offset: int = 0
    damaged: int = 0


def ingest(paths: ProjectPaths, database: sa.Engine, *, limit: int | None = None) -> Ingested:
    """Bring in what the journal holds by now. limit: at most so many records.

    Raises Failed when the database cannot be written, or another ingester does not end; nothing
    is lost then.
    """
    if not segments.writers(paths.journal):
        return Ingested()
    with _alone(paths):
        return _Pass(paths.journal, database, limit).run()


def fresh(settings: Settings, paths: ProjectPaths) -> sa.Engine:
    """The database with all that the journal holds by now: what analysis should begin with."""
    database = open_database(settings)
    try:
        ingest(paths, database)
    except BaseException:
        database.dispose()
        raise
    return database


def follow(
    paths: ProjectPaths, database: sa.Engine, stop: threading.Event, *, every: float = 1.0
) -> Iterator[Ingested]:
    """Ingest until `stop` is set; yields each pass that brought anything. every: seconds."""
    while True:
        done = ingest(paths, database)
        if done != Ingested():
            yield done
        if stop.wait(every):
            return


@contextmanager
def _alone(paths: ProjectPaths) -> Iterator[None]:
    from filelock import FileLock, Timeout

    paths.locks.mkdir(parents=True, exist_ok=True)
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

    def __init__(self, root: Path, database: sa.Engine, limit: int | None) -> None:
        self._root = root
        self._database = database
        self._left = limit
        self._done = Ingested()
        self._answers: list[Row] = []
        self._events: list[Row] = []
        self._damaged: list[Damage] = []
        self._moved: dict[Segment, _Place] = {}
        self._finished: list[Segment] = []

    def run(self) -> Ingested:
        places = self._places()
        for writer in segments.writers(self._root):
            for segment in segments.segments(self._root, writer):
                self._segment(segment, places.get((writer, segment.name)) or _Place())
        self._commit()
        return self._done

    def _places(self) -> dict[tuple[str, str], _Place]:
        writers = segments.writers(self._root)
        query = sa.select(positions).where(positions.c.writer.in_(writers))
        with reading(self._database) as connection:
            rows = connection.execute(query).all()
        return {(row.writer, row.segment): _Place(row.offset, row.damaged) for row in rows}

    def _segment(self, segment: Segment, place: _Place) -> None:
        closed = segments.is_closed(segment)  # before the reading that may be the last
        while self._left != 0:
            text = segments.whole_lines(segment.path, place.offset, READ_BYTES)
            if not text:
                break
            if not self._lines(segment, place, text):
                return
            self._moved[segment] = place
            if len(self._answers) + len(self._events) >= BATCH:
                self._commit()
        else:
            return
        if closed and not place.damaged:
            self._moved.pop(segment, None)
            self._finished.append(segment)

    def _lines(self, segment: Segment, place: _Place, text: bytes) -> bool:
        """Take whole lines in; False when a newer llmops must read on."""
        received = int(time.time() * 1000)
        for line in text.split(b"\n")[:-1]:
            if self._left == 0:
                break
            try:
                self._record(parse(line), received)
            except Unreadable as error:
                self._damaged.append(Damage(segment.path, place.offset, str(error)))
                if isinstance(error, Newer):
                    self._moved[segment] = place
                    return False
                place.damaged += 1
            place.offset += len(line) + 1
            if self._left is not None:
                self._left -= 1
        return True

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
        if not self._moved and not self._finished:
            return
        with writing(self._database) as connection:
            counts = insert(connection, self._answers, self._events)
            for segment in [*self._moved, *self._finished]:
                connection.execute(sa.delete(positions).where(_at(segment)))
            rows = [
                {"writer": s.writer, "segment": s.name, "offset": p.offset, "damaged": p.damaged}
                for s, p in self._moved.items()
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
        done.damaged += self._damaged
        done.segments += len(self._finished)
        self._answers, self._events, self._damaged = [], [], []
        self._moved, self._finished = {}, []


def _at(segment: Segment) -> sa.ColumnElement[bool]:
    return sa.and_(positions.c.writer == segment.writer, positions.c.segment == segment.name)
