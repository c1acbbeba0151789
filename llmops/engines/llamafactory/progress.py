"""Follows a running attempt: the phases that the worker enters, the engine's training log and what
the worker adds to it.

All are files of JSON lines that another process appends to; a last line that is not complete yet
is read at the next poll. Nothing is kept open.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmops.engines.contract import Progress
from llmops.store.run_paths import AttemptPaths

TRAINER_LOG = "trainer_log.jsonl"
_TIME = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)")
_NAMED = {
    *("phase", "current_steps", "total_steps", "loss", "lr", "throughput"),
    *("remaining_time", "elapsed_time"),
}


class LineFollower:
    """The complete lines that were added to a file since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def poll(self) -> list[dict[str, Any]]:
        """JSON objects, oldest first; a line that is none is passed over. A file that shrank was
        replaced, and is read from its start."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._position:
                    self._position = 0
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return []
        complete, newline, _ = data.rpartition(b"\n")
        self._position += len(complete) + len(newline)
        return [value for line in complete.splitlines() if (value := _object(line)) is not None]


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Follower:
    """Readings of one attempt, phases and steps in one sequence."""

    def __init__(self, attempt: AttemptPaths) -> None:
        self._phases = LineFollower(attempt.phases)
        self._log = LineFollower(attempt.output / TRAINER_LOG)
        self._figures = LineFollower(attempt.figures)
        self._beside: dict[int, dict[str, float]] = {}
        self._last = Progress("starting")

    def poll(self) -> list[Progress]:
        """What is new since the last call, oldest first."""
        lines = self._phases.poll()
        entered = [str(line.get("phase", "")) for line in lines]
        warnings = [
            replace(self._last, warning=str(line["warning"])) for line in lines if "warning" in line
        ]
        steps = self._log.poll()
        # What the worker adds to a step is written before the step itself: it is there by now.
        for line in self._figures.poll():
            found = _numbers(line)
            self._beside[int(found.pop("step", 0))] = found
        # Steps are logged while training, before the worker enters what follows it.
        early = [name for name in entered if name in ("starting", "training")]
        late = [name for name in entered if name and name not in ("starting", "training")]
        readings = warnings + [self._enter(name) for name in early]
        readings += [self._step(line) for line in steps]
        return readings + [self._enter(name) for name in late]

    def _enter(self, phase: str) -> Progress:
        last = self._last
        self._last = Progress(phase, last.step, last.total, last.loss)
        return self._last

    def _step(self, line: dict[str, Any]) -> Progress:
        last = self._last
        phase = "training" if last.phase == "starting" else last.phase
        loss = _number(line.get("loss"))
        step = int(_number(line.get("current_steps")) or last.step)
        named = {name: value for name, value in line.items() if name not in _NAMED}
        self._last = Progress(
            phase=phase,
            step=step,
            total=int(_number(line.get("total_steps")) or last.total),
            loss=loss if loss is not None else last.loss,
            learning_rate=_number(line.get("lr")),
            tokens_per_s=_positive(line.get("throughput")),
            remaining_s=seconds(line.get("remaining_time")),
            elapsed_s=seconds(line.get("elapsed_time")),
            values=_numbers(named) | self._beside.pop(step, {}),
        )
        return self._last


def _numbers(line: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in line.items() if _number(value) is not None}


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good else None


def _positive(value: Any) -> float | None:
    """Of a mask that is not of ones, as neat_packing has, the engine's count of tokens makes no
    sense."""
    found = _number(value)
    return found if found is not None and found > 0 else None


def seconds(text: Any) -> float | None:
    """`1 day, 2:03:04` in seconds; None for anything else."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)
