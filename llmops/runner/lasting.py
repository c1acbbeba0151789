"""A stream that a run may write to for hours: a terminal that is closed, a pipe that nobody reads
any more or a log on a full disk ends no run."""

import contextlib
from typing import Any, TextIO


class Lasting:
    """Writes to `stream` as long as that takes it; everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
