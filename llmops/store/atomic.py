"""Writes that leave the old state or the new one, never half of either."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from llmops.errors import Failed
from llmops.spec.source import display


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`."""
    with new_file(path) as file:
        file.write(text.encode())


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces `path` when the block succeeds, and vanishes when not: temporary name,
    fsync, rename."""
    with full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        sync_directory(path.parent)


def create_text(path: Path, text: str) -> bool:
    """Write `path` unless it is there; whether it was made. Of several processes one succeeds."""
    with full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8"
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            try:
                os.link(file.name, path)  # not a rename, which would replace another's
            except FileExistsError:
                return False
        sync_directory(path.parent)
    return True


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def append_line(path: Path, line: str, *, durable: bool = True) -> None:
    """Add one line to a log of records and have it on disk; unless `durable`, only with the next
    line that is."""
    with full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A temporary directory that becomes `path` when the block succeeds, and vanishes when not.

    Raises FileExistsError when `path` exists by then.
    """
    with full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    sync_file(file)
            os.chmod(temporary, 0o755)
            if path.exists():
                raise FileExistsError(path)
            os.rename(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_directory(path.parent)


def sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(path: Path) -> None:
    sync_file(path)


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Say plainly that the disk is full, or the file read-only, instead of an OSError."""
    try:
        yield
    except OSError as error:
        told = refused(error, path)
        if told is None:
            raise
        raise told from error


def refused(error: OSError, path: Path) -> Failed | None:
    """What the system refuses in a user's words; None where it may as well be a defect."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(
            "no space left on the disk; what was there is as it was",
            where=display(path),
            fix="free some space (`llmops doctor` shows how much is left) and run it again",
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.ENOTDIR):
        return Failed(
            f"cannot be read or written: {error.strerror}",
            where=display(path),
            fix="check what lies there, and the permissions of the project's directory",
        )
    if error.errno in (errno.EIO, errno.ESTALE):
        return Failed(
            f"the disk failed: {error.strerror}",
            where=display(path),
            fix="look at the disk, or at the share that it is (`dmesg`), and run it again",
        )
    return None
