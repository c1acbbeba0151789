"""Showing a run: a live display on a terminal, plain lines where there is none."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO, cast

from llmops.engines.contract import Progress
from llmops.environments.machine import size_text
from llmops.runner.lasting import Lasting

LINE_SECONDS = 3.0
SHOWN = ("accuracy", "reward", "eval_loss")
"""Of an engine's other figures, those that tell whether it learns."""
MEMORY = ("device_memory_bytes", "memory_bytes")
"""The first of them that there is says how near the limit it is."""
WIDE = 100
"""Columns of a terminal that has room for a bar beside the figures."""


class Reporter(Protocol):
    """What a run tells as it goes."""

    def begin(self, run: str, stages: Sequence[str]) -> None: ...
    def started(self, stage: str, summary: str, reasons: Sequence[str]) -> None: ...
    def progress(self, stage: str, progress: Progress) -> None: ...
    def waiting(self, stage: str, why: str) -> None: ...
    def reused(self, stage: str, what: str) -> None: ...
    def done(self, stage: str, what: str) -> None: ...
    def failed(self, stage: str, why: str) -> None: ...
    def end(self) -> None: ...


def reporter(stream: TextIO | None = None) -> Reporter:
    """The reporter that fits the stream (default: standard error), or the log format."""
    from llmops.runner.json_reporter import JsonReporter
    from llmops.store import logs

    stream = cast(TextIO, Lasting(stream or sys.stderr))
    if logs.is_json():
        return JsonReporter(stream)
    return RichReporter(stream) if stream.isatty() else PlainReporter(stream)


def seconds(value: float | None) -> str:
    """`75.2` as `1:15`, `7275` as `2:01:15`."""
    if value is None:
        return ""
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def figures(progress: Progress) -> str:
    """As far as the engine reports them; what a narrow terminal may cut off comes last."""
    parts = []
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    parts += [f"{name} {value:.3g}" for name, value in progress.values.items() if name in SHOWN]
    if progress.tokens_per_s:
        parts.append(f"{progress.tokens_per_s:,.0f} tokens/s")
    taken = (progress.values.get(name) for name in MEMORY)
    parts += [size_text(int(each)) for each in taken if each][:1]
    if progress.learning_rate is not None:
        parts.append(f"lr {progress.learning_rate:.1e}")
    return " ".join(parts)


def steps(progress: Progress, *, word: str = "") -> str:
    """How far training is, or work that is counted; empty in any other phase."""
    if progress.phase != "training" and progress.total and progress.loss is None:
        return f"{progress.step:,}/{progress.total:,}"
    if progress.phase != "training" or not progress.total:
        return ""
    left = f" {seconds(progress.remaining_s)} left" if progress.remaining_s else ""
    return f"{word}{progress.step}/{progress.total}{left} {figures(progress)}"


@dataclass
class PlainReporter:
    """One line for each change, and one every few seconds while a stage trains."""

    stream: TextIO
    _stages: list[str] = field(default_factory=list)
    _began: dict[str, float] = field(default_factory=dict)
    _shown: tuple[str, float] = ("", 0.0)

    def begin(self, run: str, stages: Sequence[str]) -> None:
        self._stages = list(stages)
        self._line(f"run {run}: {', '.join(stages)}")

    def started(self, stage: str, summary: str, reasons: Sequence[str]) -> None:
        self._began[stage] = time.monotonic()
        self._say(stage, summary + (f" ({'; '.join(reasons)})" if reasons else ""))

    def progress(self, stage: str, progress: Progress) -> None:
        if progress.warning:
            self._say(stage, f"warning: {progress.warning}")
            return
        phase, at = self._shown
        now = time.monotonic()
        told = progress.learning_rate is not None or "eval_loss" in progress.values
        last = told and 0 < progress.total <= progress.step
        if progress.phase == "done":
            return  # what was made is told once it is registered
        if phase == progress.phase and now - at < LINE_SECONDS and not last:
            return
        self._shown = (progress.phase, now)
        self._say(stage, f"{progress.phase} {steps(progress, word='step ')}".rstrip())

    def waiting(self, stage: str, why: str) -> None:
        self._say(stage, f"waiting: {why}")

    def reused(self, stage: str, what: str) -> None:
        self._say(stage, f"up to date: {what}")

    def done(self, stage: str, what: str) -> None:
        took = time.monotonic() - self._began.get(stage, time.monotonic())
        self._say(stage, f"done: {what} in {took:.1f} s")

    def failed(self, stage: str, why: str) -> None:
        self._say(stage, f"failed: {why}")

    def end(self) -> None:
        self.stream.flush()

    def _say(self, stage: str, text: str) -> None:
        position = self._stages.index(stage) + 1 if stage in self._stages else 0
        self._line(f"[{position}/{len(self._stages)}] {stage}: {text}")

    def _line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class RichReporter:
    """A line for each stage, with a bar while it trains."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        console = Console(file=stream)
        wide = console.width >= WIDE
        self._bars = RichProgress(
            TextColumn("{task.fields[mark]} [bold]{task.description}"),
            *([BarColumn(bar_width=12)] if wide else []),
            TextColumn("{task.fields[text]}"),
            *([TimeElapsedColumn()] if wide else []),
            console=console,
        )
        self._tasks: dict[str, Any] = {}

    def begin(self, run: str, stages: Sequence[str]) -> None:
        self._bars.console.print(f"run [bold]{run}")
        for stage in stages:
            self._tasks[stage] = self._bars.add_task(
                stage, total=None, start=False, mark=" ", text="", visible=True
            )
        self._bars.start()

    def started(self, stage: str, summary: str, reasons: Sequence[str]) -> None:
        self._bars.start_task(self._tasks[stage])
        self._set(stage, ">", summary)

    def progress(self, stage: str, progress: Progress) -> None:
        if progress.warning:
            self._bars.console.print(f"{stage}: warning: {progress.warning}", markup=False)
            return
        text = steps(progress)
        if progress.phase != "training" or not text:
            text = f"{progress.phase} {text}".rstrip()
        total = progress.total or None
        self._bars.update(self._tasks[stage], total=total, completed=progress.step)
        self._set(stage, ">", text)

    def waiting(self, stage: str, why: str) -> None:
        self._set(stage, ".", f"waiting: {why}")

    def reused(self, stage: str, what: str) -> None:
        self._finish(stage, "=", f"up to date: {what}")

    def done(self, stage: str, what: str) -> None:
        self._finish(stage, "+", what)

    def failed(self, stage: str, why: str) -> None:
        self._set(stage, "x", f"failed: {why.splitlines()[0] if why else ''}")
        self._bars.stop_task(self._tasks[stage])

    def end(self) -> None:
        self._bars.stop()

    def _finish(self, stage: str, mark: str, text: str) -> None:
        task = self._tasks[stage]
        self._bars.update(task, total=1, completed=1)
        self._bars.stop_task(task)
        self._set(stage, mark, text)

    def _set(self, stage: str, mark: str, text: str) -> None:
        from rich.markup import escape

        self._bars.update(self._tasks[stage], mark=mark, text=escape(text))
