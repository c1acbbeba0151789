"""The journal's writing side: records that are on disk before anyone is told so.

One thread writes; whatever was appended while it waited for the disk goes out in one write and
one fdatasync (group commit). A record that cannot be kept is refused, and what the disk holds of
it is cut off; the journal goes on by itself once there is room. It reads nothing (segments.py
does), knows nothing of what a record says (records.py), and opens no database.

    journal = Journal(paths.journal, writer_name("town"))
    await journal.append(orjson.dumps(record))
    await journal.close()
"""

import asyncio
import errno
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from llmops.errors import Failed
from llmops.feedback.segment_file import SegmentFile, open_writer
from llmops.spec.source import display

SOON_SECONDS = 0.05
"""How long a record of `append_soon` waits for others; half of what may be lost, the rest is the
disk's."""
BATCH_BYTES = 1 << 20
QUEUE_BYTES = 64 << 20
FAILURE_SECONDS = 5.0
"""How long a failure is told without another write."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def writer_name(deployment: str) -> str:
    """A name that no other process has: DEPLOYMENT-TIME-PID and some chance, since processes in
    containers share their pids."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return f"{deployment}-{now}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """lines: of records that are kept together, or not at all. loop, future: who waits, if anyone
    does."""

    lines: bytes
    loop: asyncio.AbstractEventLoop | None = None
    future: "asyncio.Future[None] | None" = None


class Journal:
    """An open journal: `root`/`writer` with numbered segments, and the thread that writes them.

    writer: a name of its own for each process (`writer_name`). A segment is finished when the next
    record would make it larger than `segment_bytes`, or after `segment_seconds`. Safe to use from
    several threads and event loops. Raises Failed when the directory cannot be made.

    lost: records of `append_soon` that were not kept.
    """

    def __init__(
        self,
        root: Path,
        writer: str,
        *,
        segment_bytes: int = 16 << 20,
        segment_seconds: float = 60.0,
        queue_bytes: int = QUEUE_BYTES,
        failure_seconds: float = FAILURE_SECONDS,
    ) -> None:
        self.root = root / writer
        self.lost = 0
        self._failure: tuple[Failed, float] | None = None
        self._failure_seconds = failure_seconds
        try:
            paths, self._alive = open_writer(root, writer)
        except OSError as error:
            raise self._failed(error) from error
        self._segment = SegmentFile(paths, bytes=segment_bytes, seconds=segment_seconds)
        self._queue_bytes = queue_bytes
        self._pending: deque[_Entry] = deque()
        self._queued = 0
        self._urgent = False
        self._soonest = 0.0
        self._closing = False
        self._changed = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> Failed | None:
        """Why the last write failed; None when it did not, or when that was a while ago: only
        another write can tell whether there is room again, and an unready gateway gets none."""
        failure = self._failure
        if failure is None or time.monotonic() - failure[1] >= self._failure_seconds:
            return None
        return failure[0]

    async def append(self, *records: bytes) -> None:
        """Add records (JSON without a line end); returns once they are on disk.

        Raises Failed when they cannot be kept; then the journal holds none of them. Who is
        cancelled while waiting has appended nevertheless.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        lines = b"".join(_line(record) for record in records)
        refused = self._put(_Entry(lines, loop, future), urgent=True)
        if refused is not None:
            raise refused
        await future

    def append_soon(self, record: bytes) -> None:
        """Add one record that is on disk within 100 ms, without waiting for it.

        One that cannot be kept counts in `lost`.
        """
        if self._put(_Entry(_line(record)), urgent=False) is not None:
            with self._changed:
                self.lost += 1

    async def close(self) -> None:
        """Write what is still waiting, finish the segment, end the thread. May be called again."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _put(self, entry: _Entry, *, urgent: bool) -> Failed | None:
        """Queue an entry, or say why not."""
        with self._changed:
            if self._closing:
                return Failed("the journal is closed", where=display(self.root))
            if self._queued + len(entry.lines) > self._queue_bytes:
                return Failed(
                    f"the disk does not keep up: {self._queued >> 20} MiB wait to be written",
                    where=display(self.root),
                )
            if not self._pending:
                self._soonest = time.monotonic() + SOON_SECONDS
            self._pending.append(entry)
            self._queued += len(entry.lines)
            hasten = not self._urgent and (urgent or self._queued >= BATCH_BYTES)
            self._urgent = self._urgent or hasten
            if hasten or len(self._pending) == 1:
                self._changed.notify()
        return None

    def _run(self) -> None:
        batch: list[_Entry] = []
        try:
            while (taken := self._take()) is not None:
                batch = taken
                if batch:
                    self._write(batch)
                batch = []
                if self._segment.ends_in() == 0:
                    self._segment.finish()
        finally:
            # After a defect too, or those who wait would wait for ever.
            with self._changed:
                self._closing = True
                left = [*batch, *self._pending]
                self._pending.clear()
            self._tell(left, Failed("the journal's thread has ended", where=display(self.root)))
            self._segment.finish()
            os.close(self._alive)

    def _take(self) -> list[_Entry] | None:
        """What is to be written now: waits for it. Empty when the segment's time is over, None
        when the journal is closed and all is written."""
        with self._changed:
            while True:
                now = time.monotonic()
                ends_in = self._segment.ends_in()
                if self._pending:
                    if self._urgent or self._closing or now >= self._soonest:
                        return self._taken()
                    self._changed.wait(self._soonest - now)
                elif self._closing:
                    return None
                elif ends_in == 0:
                    return []
                else:
                    self._changed.wait(ends_in)

    def _taken(self) -> list[_Entry]:
        taken, size = [], 0
        while self._pending and size < BATCH_BYTES:
            entry = self._pending.popleft()
            size += len(entry.lines)
            taken.append(entry)
        self._queued -= size
        # What is left over may hold an urgent one: then the next batch is written at once too.
        self._urgent = self._urgent and bool(self._pending)
        return taken

    def _write(self, batch: list[_Entry]) -> None:
        lines = b"".join(entry.lines for entry in batch)
        failure = None
        try:
            self._segment.commit(lines)
        except OSError as error:
            failure = self._failed(error)
            lost = sum(1 for entry in batch if entry.future is None)
            with self._changed:
                self.lost += lost
        self._failure = (failure, time.monotonic()) if failure else None
        self._tell(batch, failure)

    def _tell(self, batch: Iterable[_Entry], failure: Failed | None) -> None:
        """Wake those who wait, once for each event loop."""
        waiting: dict[asyncio.AbstractEventLoop, list[_Entry]] = {}
        for entry in batch:
            if entry.loop is not None:
                waiting.setdefault(entry.loop, []).append(entry)
        for loop, entries in waiting.items():
            try:
                loop.call_soon_threadsafe(_wake, entries, failure)
            except RuntimeError:
                continue  # the loop is closed: nobody waits any more

    def _failed(self, error: OSError) -> Failed:
        if error.errno in _FULL:
            what, fix = "no space left for the journal", "free some space"
        else:
            what, fix = f"the journal cannot be written: {error.strerror or error}", ""
        return Failed(what, where=display(self.root), fix=fix)


def _line(record: bytes) -> bytes:
    if b"\n" in record or not record:
        raise ValueError("a record is one line of JSON, without its end")
    return record + b"\n"


def _wake(entries: list[_Entry], failure: Failed | None) -> None:
    for entry in entries:
        if entry.future is None or entry.future.done():
            continue
        if failure is None:
            entry.future.set_result(None)
        else:
            entry.future.set_exception(Failed(failure.what, where=failure.where, fix=failure.fix))
