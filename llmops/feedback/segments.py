"""The journal's reading side: which writers and segments there are, and their lines.

Works on the journals of living and of dead processes alike, and changes nothing but what `remove`
and `sweep` take away. A torn last line (of a write that a crash cut short, or that is under way) is
left alone; what is in a line is the ingester's matter.
"""

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from llmops.store.paths import WriterPaths


@dataclass(frozen=True)
class Segment:
    """One file of a writer. name: as positions name it."""

    writer: str
    number: int
    path: Path

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class Damage:
    """A line that is no record. offset: where it begins, in bytes."""

    path: Path
    offset: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}: the line at byte {self.offset} is damaged ({self.why})"


def writers(root: Path) -> list[str]:
    """The names of all writers of the journal at `root`, in the order of their names."""
    try:
        folders = [folder for folder in root.iterdir() if folder.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(folder.name for folder in folders if not folder.name.startswith("."))


def segments(root: Path, writer: str) -> list[Segment]:
    """The segments of one writer that are still there, oldest first."""
    found = [
        Segment(writer, int(path.stem), path)
        for path in (root / writer).glob("*.jsonl")
        if path.stem.isdecimal()
    ]
    return sorted(found, key=lambda segment: segment.number)


def is_alive(root: Path, writer: str) -> bool:
    """Whether the process that writes there still lives (it holds a lock on writer.json)."""
    try:
        handle = os.open(WriterPaths(root / writer).process, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def is_closed(segment: Segment) -> bool:
    """Whether nothing more will be written to it. Ask before the read that is to be the last."""
    folder = segment.path.parent
    later = [one for one in segments(folder.parent, segment.writer) if one.number > segment.number]
    if later:
        return True
    try:
        last = int(WriterPaths(folder).closed.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        last = 0
    return segment.number <= last or not is_alive(folder.parent, segment.writer)


def remove(segment: Segment) -> None:
    """Take a closed segment away, and with the last one of a dead writer its directory."""
    folder = segment.path.parent
    dead = not is_alive(folder.parent, segment.writer)
    segment.path.unlink(missing_ok=True)
    if dead:
        _clear(folder)


def sweep(root: Path) -> None:
    """Take the directories of dead writers away that hold no segment."""
    for writer in writers(root):
        if not is_alive(root, writer):
            _clear(root / writer)


def _clear(folder: Path) -> None:
    paths = WriterPaths(folder)
    with contextlib.suppress(OSError):
        with os.scandir(folder) as entries:  # not all of them: a backlog has thousands
            if any(entry.name.endswith(".jsonl") for entry in entries):
                return
        for file in (paths.closed, paths.process):
            file.unlink(missing_ok=True)
        folder.rmdir()


def whole_lines(path: Path, offset: int, limit: int) -> bytes:
    """About `limit` bytes of whole lines from `offset` on, at least one line; none without."""
    data = b""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while b"\n" not in data[-limit:] and (more := file.read(limit)):
                data += more
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]
