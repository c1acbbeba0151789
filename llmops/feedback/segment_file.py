"""The files of one writer of the journal: its directory, and the segment that is being written.

Used by one thread at a time (journal.py has that thread); every call may block on the disk. A
segment is only ever appended to, and a failure ends it: it is cut back to its last durable byte
and the next record opens another, so that no reader's position ever points into changed bytes.
"""

import contextlib
import fcntl
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from llmops.feedback.segments import sweep
from llmops.store.atomic import sync_directory
from llmops.store.liveness import process_mark
from llmops.store.paths import WriterPaths


def open_writer(root: Path, name: str) -> tuple[WriterPaths, int]:
    """Make the directory of a new writer; also the handle that marks it as alive while open.

    The mark is a lock on writer.json, which the kernel drops with the process: unlike a pid it
    cannot be given away again and holds across containers. The directory appears with the lock
    held, so a reader never takes a starting writer for a dead one. What dead writers left empty is
    swept away. Raises OSError; FileExistsError or ENOTEMPTY when there is such a writer already.
    """
    root.mkdir(parents=True, exist_ok=True)
    sweep(root)
    temporary = WriterPaths(Path(tempfile.mkdtemp(dir=root, prefix=f".{name}.")))
    about = {
        "format": 1,
        "pid": os.getpid(),
        "started": process_mark(os.getpid()),
        "host": socket.gethostname(),
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    handle = os.open(temporary.process, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, json.dumps(about).encode() + b"\n")
        os.fsync(handle)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(temporary.root, root / name)
        for folder in (root, root.parent):
            sync_directory(folder)
    except BaseException:
        os.close(handle)
        with contextlib.suppress(OSError):
            temporary.process.unlink()
            temporary.root.rmdir()
        raise
    return WriterPaths(root / name), handle


class SegmentFile:
    """The segment that is being written, if any. bytes, seconds: when it gives way to the next.

    clock: seconds, monotonic.
    """

    def __init__(
        self,
        paths: WriterPaths,
        *,
        bytes: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = paths
        self._bytes = bytes
        self._seconds = seconds
        self._clock = clock
        self._number = 0
        self._handle: int | None = None
        self._durable = 0
        self._opened = 0.0

    def commit(self, lines: bytes) -> None:
        """Add whole lines and have them on disk. Raises OSError, with none of them kept."""
        if self._durable and self._durable + len(lines) > self._bytes:
            self.finish()
        handle = self._start() if self._handle is None else self._handle
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fdatasync(handle)
        except OSError:
            self._abandon()
            raise
        self._durable += len(lines)

    def ends_in(self) -> float | None:
        """Seconds until the segment is old enough to be finished; None when there is none."""
        if self._handle is None:
            return None
        return max(0.0, self._opened + self._seconds - self._clock())

    def finish(self) -> None:
        """Close the segment, so that readers may take it away. The next record opens another."""
        if self._handle is None:
            return
        os.close(self._handle)
        self._handle = None
        # Only a hint: without it, the next segment or the end of the process tells the same.
        with contextlib.suppress(OSError):
            temporary = self._paths.closed.with_name(".closed")
            temporary.write_text(f"{self._number}\n", encoding="ascii")
            os.replace(temporary, self._paths.closed)

    def _start(self) -> int:
        path = self._paths.segment(self._number + 1)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._number += 1
        self._handle, self._durable, self._opened = handle, 0, self._clock()
        try:
            sync_directory(self._paths.root)
        except OSError:
            self._abandon()
            raise
        return handle

    def _abandon(self) -> None:
        """End the segment at its last durable byte."""
        assert self._handle is not None
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, self._durable)
        if not self._durable:
            with contextlib.suppress(OSError):
                self._paths.segment(self._number).unlink()
        self.finish()
