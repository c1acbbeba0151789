"""What a person sees of an install: a live line on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llmops.store import logs

PLAIN_SECONDS = 10.0
"""Without a terminal, at most one line of progress in this time."""


@dataclass(frozen=True)
class Step:
    """Where an install stands. name: of the environment; phase: waiting, preparing, downloading,
    installing, checking or done; done of total: packages, 0 of 0 where not counted."""

    name: str
    phase: str
    done: int = 0
    total: int = 0
    detail: str = ""

    def __str__(self) -> str:
        counted = f" {self.done} of {self.total} packages" if self.total else ""
        return f"{self.name}: {self.phase}{counted}" + (f" ({self.detail})" if self.detail else "")


Report = Callable[[Step], None]


@contextmanager
def reporting() -> Iterator[Report]:
    """Shows steps on stderr for as long as the block runs."""
    if not sys.stderr.isatty():
        yield _plain()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        tasks: dict[str, TaskID] = {}

        def report(step: Step) -> None:
            if step.name not in tasks:
                tasks[step.name] = shown.add_task(step.name, total=None)
            ended = step.phase == "done"
            # Downloading is the first half of the bar, installing the second.
            total = 2 * step.total or (1 if ended else None)
            done = step.done + (step.total if step.phase == "installing" else 0)
            shown.update(
                tasks[step.name],
                description=escape(str(step)),
                total=total,
                completed=total if ended and total else done,
            )

        yield report


def _plain() -> Report:
    phases: dict[str, tuple[str, float]] = {}

    def report(step: Step) -> None:
        phase, when = phases.get(step.name, ("", 0.0))
        now = time.monotonic()
        if step.phase != phase or now - when >= PLAIN_SECONDS:
            phases[step.name] = (step.phase, now)
            logs.say(str(step))

    return report
