"""A log of records: a file of JSON lines that only grows, written by one process at a time.

A line counts once its newline is on disk: what a crash left of a line is ignored, and cut off by
the next append, which it would spoil.
"""

import os
from collections.abc import Callable, Iterator
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

    def read(self, having: bytes = b"") -> list[R]:
        """All of them, oldest first; or those whose line has these bytes. Raises Failed when one
        is damaged other than at the log's end."""
        return [self._parsed(number, line) for number, line in self._lines() if having in line]

    def last(self, having: bytes, wanted: Callable[[R], bool]) -> R | None:
        """The newest that is `wanted`, of those whose line has these bytes: the others are not
        parsed. Raises as `read`."""
        lines = reversed(self._lines())
        found = (self._parsed(number, line) for number, line in lines if having in line)
        return next((record for record in found if wanted(record)), None)

    def _lines(self) -> list[tuple[int, bytes]]:
        """By their numbers. What follows the last newline is none."""
        try:
            return [*enumerate(self._path.read_bytes().split(b"\n")[:-1], start=1)]
        except FileNotFoundError:
            return []

    def _parsed(self, number: int, line: bytes) -> R:
        try:
            return self._kind.model_validate_json(line)
        except ValidationError as error:
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
                text = file.read()
                end = text.rfind(b"\n") + 1
                if end != len(text):
                    file.truncate(end)
                    os.fsync(file.fileno())
        except FileNotFoundError:
            return
