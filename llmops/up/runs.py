"""The run under way, in a few words, for the status line: told by its files."""

import os
import time

from llmops.runner.record import read_run
from llmops.store.paths import ProjectPaths

EVERY_SECONDS = 2.0
NEWEST = 10
"""So many of the newest runs are looked at: the line is no list."""


class RunsShown:
    """Looks now and then; costs a few files."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._look_at = 0.0
        self._shown = ""

    def shown(self) -> str:
        """`run 20261120-193000-town: sft`; empty when none runs."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + EVERY_SECONDS
            self._shown = self._look()
        return self._shown

    def _look(self) -> str:
        try:
            names = sorted(os.listdir(self._paths.runs), reverse=True)[:NEWEST]
        except FileNotFoundError:
            return ""
        for name in names:
            record = read_run(self._paths.run(name))
            if record is not None and record.state == "running":
                stage = next((s.name for s in record.stages if s.state == "running"), "")
                return f"run {name}: {stage}" if stage else f"run {name}"
        return ""
