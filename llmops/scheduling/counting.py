"""A count of pairs that is under way, in a process of its own (pairs.py)."""

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from llmops.spec.settings import Settings

END_SECONDS = 10.0


class Counting:
    """It begins at once. If the scheduler is killed, it ends by itself and its result is lost."""

    def __init__(self, settings: Settings, file: str, trigger: str) -> None:
        self._began = time.monotonic()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the result)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        env = {**os.environ, "LLMOPS_CACHE": str(settings.cache)}
        if settings.database is not None:
            env["LLMOPS_DATABASE"] = settings.database
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "llmops.scheduling.pairs", file, trigger],
            cwd=settings.root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
        )

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def result(self) -> dict[str, Any] | None:
        """What it said; None while it counts."""
        if self._process.poll() is None:
            return None
        found = _lines(self._output)
        try:
            said: dict[str, Any] = json.loads(found[-1])
        except (IndexError, ValueError):
            why = _lines(self._errors)[-1:] or [f"it ended with {self._process.returncode}"]
            said = {"error": why[0]}
        self._close()
        return said

    def end(self) -> None:
        """Without a result."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        self._output.close()
        self._errors.close()


def _lines(file: Any) -> list[str]:
    file.seek(0)
    text: bytes = file.read()
    return text.decode(errors="replace").split("\n")[:-1]
