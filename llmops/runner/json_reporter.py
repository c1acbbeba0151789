"""Showing a run to machines: one JSON object a line (store/logs.py)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from llmops.engines.contract import Progress
from llmops.runner.progress import MEMORY, SHOWN
from llmops.store import logs

EVERY_SECONDS = 3.0


@dataclass
class JsonReporter:
    """An object for each change, and one every few seconds while a stage trains."""

    stream: TextIO
    _run: str = ""
    _shown: tuple[str, float] = ("", 0.0)
    _began: dict[str, float] = field(default_factory=dict)

    def begin(self, run: str, stages: Sequence[str]) -> None:
        self._run = run
        self._line("run begins", stages=list(stages))

    def started(self, stage: str, summary: str, reasons: Sequence[str]) -> None:
        self._began[stage] = time.monotonic()
        self._line("stage begins", stage=stage, summary=summary, reasons=list(reasons))

    def progress(self, stage: str, progress: Progress) -> None:
        if progress.warning:
            self._line(progress.warning, level="warning", stage=stage)
            return
        phase, at = self._shown
        now = time.monotonic()
        if progress.phase == "done" or (phase == progress.phase and now - at < EVERY_SECONDS):
            return
        self._shown = (progress.phase, now)
        more: dict[str, Any] = {name: progress.values.get(name) for name in (*SHOWN, *MEMORY)}
        self._line(
            progress.phase,
            stage=stage,
            step=progress.step,
            total=progress.total,
            loss=progress.loss,
            learning_rate=progress.learning_rate,
            tokens_per_s=progress.tokens_per_s,
            remaining_s=progress.remaining_s,
            **more,
        )

    def waiting(self, stage: str, why: str) -> None:
        self._line("stage waits", stage=stage, why=why)

    def reused(self, stage: str, what: str) -> None:
        self._line("stage is up to date", stage=stage, output=what)

    def done(self, stage: str, what: str) -> None:
        took = time.monotonic() - self._began.get(stage, time.monotonic())
        self._line("stage is done", stage=stage, output=what, seconds=round(took, 2))

    def failed(self, stage: str, why: str) -> None:
        self._line("stage failed", level="error", stage=stage, why=why)

    def end(self) -> None:
        self.stream.flush()

    def _line(self, message: str, *, level: str = "info", **fields: Any) -> None:
        told = logs.line(message, level=level, run=self._run, **fields)
        print(told, file=self.stream, flush=True)
