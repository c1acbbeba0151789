"""Experiments for the API, asked in a process of its own.

An analysis reads the whole log of a deployment into memory; so that the control process stays
small, `llmops experiments list` does it, again once the log or an alias has changed.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from llmops.control.remembered import Remembered
from llmops.errors import Failed
from llmops.spec.deployments import FOLDER, declared
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths

LEAST_SECONDS = 5.0
LIMIT_SECONDS = 600


class Experiments:
    """The experiments of a project, as `llmops experiments list --json` tells them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = ProjectPaths(settings.root)
        self._asked: tuple[Any, list[dict[str, Any]]] | None = None
        self._remembered = Remembered(self._ask, LEAST_SECONDS)

    def listed(self) -> list[dict[str, Any]]:
        """Raises Failed when it cannot be said."""
        return self._remembered.get()

    def soon(self) -> list[dict[str, Any]]:
        """The same at once: none until they are known."""
        return self._remembered.soon([])

    def _ask(self) -> list[dict[str, Any]]:
        state = self._state()
        if self._asked is None or state is None or state != self._asked[0]:
            self._asked = (state, self._analysed())
        return self._asked[1]

    def _analysed(self) -> list[dict[str, Any]]:
        if not any(one.spec.experiment for one in declared(self._settings.root).loaded):
            return []
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "llmops", "experiments", "list", "--json"],
                cwd=self._settings.root,
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"the experiments were not analysed in {LIMIT_SECONDS} s") from None
        if done.returncode:
            raise Failed(f"the experiments cannot be asked: {done.stderr.strip()[-2000:]}")
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def _state(self) -> list[tuple[str, int, int]] | None:
        """Of all that the answer depends on; None where files do not tell it."""
        if self._settings.database is not None:
            return None
        database = self._paths.database
        files = [database, database.with_name(f"{database.name}-wal")]
        files += sorted(self._paths.models.glob("*/aliases.jsonl"))
        files += sorted((self._settings.root / FOLDER).glob("*.y*ml"))
        return [(str(file), *_stat(file)) for file in files]


def _stat(file: Path) -> tuple[int, int]:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns
