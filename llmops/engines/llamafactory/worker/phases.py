"""Where a worker stands, as lines of JSON that the control plane follows.

Imported by the other workers, in the engine's environment; standard library only. The engine's own
log (steps, loss) is not repeated here.
"""

import json
import os
import sys
import time
from typing import Literal

Phase = Literal["starting", "training", "saving", "checking", "done"]


def leave() -> None:
    """End this process at once. Taking torch apart takes more than a second, and all that counts is
    on disk. Not under torchrun, which wants its processes to part in order."""
    if "LOCAL_RANK" not in os.environ:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def append(path: str, line: str) -> None:
    """One write of one short line: a reader sees all of it or none."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


class Phases:
    """An append-only file of `{"phase": NAME, "time": seconds since the epoch}`. Without a path,
    and on every process but the first, nothing is written."""

    def __init__(self, path: str | None) -> None:
        self._path = path if os.environ.get("RANK", "0") == "0" else None
        if self._path is not None:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)

    def enter(self, phase: Phase) -> None:
        self._write({"phase": phase})

    def warn(self, text: str) -> None:
        """Something that the user should know before it is too late."""
        print(f"warning: {text}", flush=True)
        self._write({"warning": text})

    def _write(self, entry: dict[str, str]) -> None:
        if self._path is None:
            return
        append(self._path, json.dumps({**entry, "time": round(time.time(), 3)}))
