"""A log of records: a file of JSON lines that only grows, written by one process at a time.

A line counts once its newline is on disk: what a crash left of a line is ignored, and cut off by
the next append, which it would spoil.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from llmops.errors import Failed
from llmops.spec.grammar import Spec
from llmops.spec.source import display
from llmops.store.atomic import append_line, full_disk

R = TypeVar("R", bound=Spec)


class Records(Generic[R]):
    """The log `path` of records of one kind. lock: its lock file; what: what it holds, for
    errors."""

    def __init__(self, path: Path, lock: Path, kind: type[R], what: str) -> None:
        self._path, self._lock, self._kind, self._what = path, lock, kind, what

    def read(self) -> list[R]:
        """All of them, oldest first. Raises Failed when the log is damaged other than at its
        end."""
        text, start, found = self._text(), 0, []
        while (end := text.find(b"\n", start)) >= 0:
            found.append(self._parsed(text, start, end))
            start = end + 1
        return found

    def newest(self, having: bytes = b"") -> Iterator[R]:
        """The newest first, those whose line has these bytes: the others are not parsed, nor any
        that nobody asks for. Raises as `read`."""
        text = self._text()
        before = text.rfind(b"\n")
        while before >= 0 and (at := text.rfind(having, 0, before)) >= 0:
            start = text.rfind(b"\n", 0, at) + 1
            yield self._parsed(text, start, text.find(b"\n", at))
            before = start - 1

    def _text(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    def _parsed(self, text: bytes, start: int, end: int) -> R:
        try:
            return self._kind.model_validate_json(text[start:end])
        except ValidationError as error:
            number = text.count(b"\n", 0, start) + 1
            raise Failed(
                f"the record of the {self._what} is damaged",
                where=f"{display(self._path)}:{number}",
                fix="restore the file from a backup, or remove this line",
            ) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """No other process appends meanwhile, nor another thread: `append` only within."""
        from filelock import FileLock

        lock = FileLock(self._lock)
        with full_disk(self._lock):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def append(self, record: R) -> None:
        """Add a record and have it on disk. The log is `held`."""
        with full_disk(self._path):
            self._cut_torn_line()
        append_line(self._path, record.model_dump_json())

    def _cut_torn_line(self) -> None:
        try:
            with self._path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 1, 0))
                if file.read() in (b"\n", b""):
                    return
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
                os.fsync(file.fileno())
        except FileNotFoundError:
            return
