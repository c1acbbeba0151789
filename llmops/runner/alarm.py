"""What goes wrong in a training, seen from its figures while it runs.

Each detector is a pure function over figures by step, oldest first: what it sees, in words, or
nothing. They are slow to call: three readings must agree, so that one odd batch ends no run.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from llmops.engines.contract import Progress

AGREE = 3
"""Readings, or evaluations, that must agree."""
BEFORE = 20
"""Readings that are usual: what the latest are held against."""
KEPT = 200
"""Readings, and evaluations, that are remembered."""
SEEN = ("accuracy", "margin", "grad_norm", "eval_loss")
"""Of an engine's other figures, those that are looked at."""

Point = tuple[int, float]


@dataclass
class Figures:
    """The latest of a training's figures, by name; total: its last step."""

    total: int = 0
    points: dict[str, deque[Point]] = field(default_factory=dict)

    def add(self, progress: Progress) -> bool:
        """Whether the reading has figures."""
        if progress.warning:
            return False  # it repeats the reading before it
        self.total = progress.total or self.total
        values = {name: value for name, value in progress.values.items() if name in SEEN}
        if progress.loss is not None and progress.learning_rate is not None:
            values["loss"] = progress.loss
        for name, value in values.items():
            self.points.setdefault(name, deque(maxlen=KEPT)).append((progress.step, value))
        return bool(values)

    def of(self, name: str) -> list[Point]:
        return list(self.points.get(name, ()))


@dataclass(frozen=True)
class Alarm:
    """kind: a key of DETECTORS; text: what is seen, with its figures."""

    kind: str
    step: int
    text: str


class Alarms:
    """Tells each kind once. What it is told grows; what it remembers does not."""

    def __init__(self) -> None:
        self._figures = Figures()
        self._told: set[str] = set()

    def see(self, progress: Progress) -> list[Alarm]:
        """What a reading adds."""
        if not self._figures.add(progress):
            return []
        left = {kind: seen for kind, seen in DETECTORS.items() if kind not in self._told}
        found = [(kind, text) for kind, seen in left.items() if (text := seen(self._figures))]
        self._told.update(kind for kind, _ in found)
        return [Alarm(kind, progress.step, text) for kind, text in found]


def alarms(readings: Iterable[Progress]) -> list[Alarm]:
    """All that there is to tell of a training, of which these are the readings."""
    seen = Alarms()
    return [alarm for reading in readings for alarm in seen.see(reading)]


def overfitting(figures: Figures) -> str:
    """Three evaluations in a row lie more than two hundredths above the lowest before them, while
    training's own loss has fallen since."""
    evaluations, losses = figures.of("eval_loss"), figures.of("loss")
    if len(evaluations) <= AGREE:
        return ""
    best_step, best = min(evaluations[:-AGREE], key=lambda point: point[1])
    if not all(value > best + abs(best) * 0.02 for _, value in evaluations[-AGREE:]):
        return ""
    until = [value for step, value in losses if step <= best_step][-5:]
    since = [value for step, value in losses if step > best_step][-5:]
    if not until or not since or not fmean(since) < fmean(until):
        return ""
    return (
        f"validation loss rose from {best:.3g} at step {best_step} to {evaluations[-1][1]:.3g}, "
        f"while the loss fell from {fmean(until):.3g} to {fmean(since):.3g}"
    )


def instability(figures: Figures) -> str:
    """A loss that is no number; a loss, or gradients, far above what was usual and staying there.
    Of gradients three must be infinite: fp16 finds its scale by overflows."""
    losses, norms = figures.of("loss"), figures.of("grad_norm")
    if losses and not math.isfinite(losses[-1][1]):
        return f"the loss is {losses[-1][1]}"
    if len(norms) >= AGREE and not any(math.isfinite(value) for _, value in norms[-AGREE:]):
        return f"the gradients' norm is {norms[-1][1]}"
    return _above(losses, "the loss", _loss_limit) or _above(norms, "the gradients' norm", _limit)


def no_preference(figures: Figures) -> str:
    """After half of all steps the chosen answer is preferred no more often than by chance."""
    found = figures.of("accuracy")
    if len(found) <= BEFORE or found[-1][0] < figures.total / 2:
        return ""
    share = fmean(value for _, value in found[-BEFORE:])
    if share >= 0.55:
        return ""
    return f"over the last {BEFORE} readings {share:.0%} of the chosen answers were preferred"


def collapse(figures: Figures) -> str:
    """The reward margin has fallen below half of what it was at its best."""
    found = [value for _, value in figures.of("margin") if math.isfinite(value)]
    if len(found) < 10:
        return ""
    now = fmean(found[-5:])
    best = max(fmean(found[at : at + 5]) for at in range(0, len(found) - 9, 5))
    if best < 0.1 or now >= best / 2:
        return ""
    return f"the reward margin fell from {best:.3g} to {now:.3g}"


DETECTORS: dict[str, Callable[[Figures], str]] = {
    "overfitting": overfitting,
    "instability": instability,
    "no_preference": no_preference,
    "collapse": collapse,
}


def _above(points: Sequence[Point], name: str, limit: Callable[[list[float]], float]) -> str:
    """The latest readings all lie above the limit that those before them set."""
    usual = [value for _, value in points[-AGREE - BEFORE : -AGREE] if math.isfinite(value)]
    if not usual:
        return ""
    most = limit(usual)
    if not all(value > most for _, value in points[-AGREE:]):
        return ""
    return f"{name} rose from {median(usual):.3g} to {points[-1][1]:.3g} and stays there"


def _loss_limit(usual: list[float]) -> float:
    """Above all that was, and by six times the usual scatter (as of a normal distribution), half a
    nat and a quarter of the loss; few do not tell their scatter, so twice their highest."""
    middle, highest = median(usual), max(usual)
    scatter = 1.4826 * median(abs(value - middle) for value in usual)
    few = len(usual) < 5
    return max(
        middle + max(0.5, abs(middle) / 4, 6 * scatter),
        highest + (0.5 + abs(highest) if few else 0.0),
    )


def _limit(usual: list[float]) -> float:
    """Ten times the usual norm, of five readings at least; below 5, gradients are no explosion."""
    return max(5.0, 10 * median(usual)) if len(usual) >= 5 else math.inf
