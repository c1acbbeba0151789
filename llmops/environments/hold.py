"""One writer at a time: a lock on a file that the writer's child processes can share.

`fcntl.flock` rather than filelock, because the lock must outlive its holder: when llmops is killed
outright, the pip that it started still writes, and the lock that pip inherited keeps the next
install waiting until it is done.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold `path` exclusively; call `waiting` once if another process holds it.

    Yields the descriptor, to be handed to children with `pass_fds`. The file stays: removing a
    lock file would let two processes lock two files of one name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)
