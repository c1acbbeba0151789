"""Whether the journal holds what no ingester reads, so that the database will not tell.

Where one runs (`llmops control`, `llmops feedback ingest --follow`), what is written is read within
seconds. What stays unread for longer is counted, and thereby read, by the scheduler itself.
"""

import sqlalchemy as sa

from llmops.feedback import segments
from llmops.store.database import reading
from llmops.store.paths import ProjectPaths
from llmops.store.tables import positions

LEFT = 15_000
"""ms after which something unread counts as left."""


class Unread:
    """Remembers what was unread before."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._root = paths.journal
        self._waiting: dict[tuple[str, str], tuple[int, int]] = {}
        """By writer and segment: its size, and when it was seen so, in ms since 1970."""

    def is_left(self, database: sa.Engine, now: int) -> bool:
        """Looks at the names and sizes of the journal's files, and at one small table."""
        sizes = self._sizes()
        read = self._read(database) if sizes else {}
        waiting = {}
        for key, size in sizes.items():
            known, since = self._waiting.get(key, (size, now))
            if read.get(key, 0) >= known or since > now:
                known, since = size, now
            if read.get(key, 0) < known:
                waiting[key] = known, since
        self._waiting = waiting
        return any(now - since >= LEFT for _, since in waiting.values())

    def _sizes(self) -> dict[tuple[str, str], int]:
        found = {}
        for writer in segments.writers(self._root):
            for segment in segments.segments(self._root, writer):
                try:
                    found[writer, segment.name] = segment.path.stat().st_size
                except FileNotFoundError:
                    continue
        return found

    def _read(self, database: sa.Engine) -> dict[tuple[str, str], int]:
        with reading(database) as connection:
            rows = connection.execute(sa.select(positions)).all()
        return {(row.writer, row.segment): int(row.offset) for row in rows}
