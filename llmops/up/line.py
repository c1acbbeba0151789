"""What `llmops up` shows: a line for each change, and on a terminal one below them that tells how
all the parts do."""

import contextlib
import shutil
import time
from collections.abc import Sequence
from typing import TextIO

from llmops.store import logs
from llmops.up.part import Kept

MARKS = {"ready": "ready", "elsewhere": "ready (not ours)"}


class StatusLine:
    """stream: standard error, or any other."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty() and not logs.is_json()
        self._shown = ""
        self._since = time.monotonic()

    def say(self, text: str) -> None:
        """A line that stays."""
        text = logs.line(text) if logs.is_json() else text
        self._write(("\r\x1b[2K" if self._shown else "") + text + "\n")
        if self._shown:
            self._write(self._shown)

    def show(self, kept: Sequence[Kept], run: str = "") -> None:
        """How the parts do now; only on a terminal."""
        if not self._live:
            return
        took = int(time.monotonic() - self._since)
        text = f"up {took // 60}:{took % 60:02d} | {described(kept)}"
        width = shutil.get_terminal_size().columns - 1
        text = (f"{text} | {run}" if run else text)[:width]
        if text != self._shown:
            self._shown = text
            self._write("\r\x1b[2K" + text)

    def end(self) -> None:
        if self._shown:
            self._shown = ""
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone; what is kept goes on, or ends
            self._stream.write(text)
            self._stream.flush()


def described(kept: Sequence[Kept]) -> str:
    """`serve ready | control starting | ...`"""
    return " | ".join(f"{one.part.name} {_state(one)}" for one in kept)


def _state(one: Kept) -> str:
    text = MARKS.get(one.state, one.state)
    return f"{text}: {one.detail}" if one.detail and one.state != "restarting" else text
