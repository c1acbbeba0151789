"""A part of a log that is still being written: whole characters, and no more than so many bytes."""

import os
from pathlib import Path
from typing import Any

LOG_BYTES = 65_536
"""At most so much at once."""


def log_part(file: Path | None, offset: int) -> dict[str, Any]:
    """{"text", "offset", "size"}. offset: a byte to begin at, below 0 counted from the end; in the
    answer, where the next part begins. Empty when there is no file. What cannot be decoded is
    replaced."""
    try:
        with (file or Path(os.devnull)).open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            begin = max(0, size + offset) if offset < 0 else min(offset, size)
            opened.seek(begin)
            data = opened.read(LOG_BYTES)
            if offset < 0:
                cut = _cut(data)
                begin, data = begin + cut, data[cut:]
    except FileNotFoundError:
        return {"text": "", "offset": 0, "size": 0}
    whole = _whole(data)
    text = data[:whole].decode("utf-8", errors="replace")
    return {"text": text, "offset": begin + whole, "size": size}


def _cut(data: bytes) -> int:
    """How many bytes at its start are the rest of a character."""
    return next((at for at, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)


def _whole(data: bytes) -> int:
    """How much of it ends with a whole character: the rest of one may be still to come."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:  # the first of a character
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return len(data) - back if length > back else len(data)
    return len(data)
