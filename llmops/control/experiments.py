"""Experiments for the API, asked in a process of its own.

An analysis reads the whole log of a deployment into memory; so that the control process stays
small, `llmops experiments list` does it, and its answer is kept for ten times as long as it took.
"""

import json
import subprocess
import sys
import threading
import time
from typing import Any

from llmops.errors import Failed
from llmops.spec.settings import Settings

LEAST_SECONDS = 5.0
REST = 9
LIMIT_SECONDS = 600


class Experiments:
    """The experiments of a project, as `llmops experiments list --json` tells them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asking = threading.Lock()
        self._found: list[dict[str, Any]] = []
        self._until = 0.0

    def listed(self) -> list[dict[str, Any]]:
        """At most a tenth of the time goes into asking. Raises Failed when it cannot be said."""
        with self._asking:
            if time.monotonic() >= self._until:
                began = time.monotonic()
                self._found = self._ask()
                took = time.monotonic() - began
                self._until = began + max(LEAST_SECONDS, REST * took)
            return self._found

    def _ask(self) -> list[dict[str, Any]]:
        from llmops.spec.deployments import declared

        known = declared(self._settings.root)
        if not any(one.spec.experiment for one in known.loaded):
            return []
        done = subprocess.run(
            [sys.executable, "-m", "llmops", "experiments", "list", "--json"],
            cwd=self._settings.root,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise Failed(f"the experiments cannot be asked: {done.stderr.strip()[-2000:]}")
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found
