"""What goes wrong in a training, seen from its figures while it runs.

Each detector is a pure function over figures by step, oldest first: what it sees, in words, or
nothing. They are slow to call: at least three readings must agree, so that one odd batch ends no
run.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median

from llmops.engines.contract import Progress

AGREE = 3
"""Readings, or evaluations, that must agree."""
BEFORE = 20
"""Readings that are usual: what the latest are held against."""
KEPT = 200
"""Readings, and evaluations, that are remembered."""
SEEN = ("accuracy", "margin", "grad_norm", "eval_loss", "chosen", "chosen_before")
"""Of an engine's other figures, those that are looked at. chosen, chosen_before: log-probability of
the preferred answers now, and in the reference model."""

FEW = 10
"""Readings without which a share says nothing."""
PREFERRED = 0.6
"""Share of the chosen answers below which nothing is said to be learned from the pairs."""
NOTHING = 0.01
"""A reward margin: in sigmoid DPO a loss of 0.688, where it begins at 0.693."""
SPREAD = 2.5
"""Standard deviations from one reading to the next; of a median of ten that is six."""
LOST = 3.0
"""Nats of log-probability that make an answer 20 times less likely."""

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
    """A loss that is no number; a loss, or gradients, far above what was usual and staying there; a
    loss that crept up. Of gradients three must be infinite: fp16 finds its scale by overflows."""
    losses, norms = figures.of("loss"), figures.of("grad_norm")
    if losses and not math.isfinite(losses[-1][1]):
        return f"the loss is {losses[-1][1]}"
    if len(norms) >= AGREE and not any(math.isfinite(value) for _, value in norms[-AGREE:]):
        return f"the gradients' norm is {norms[-1][1]}"
    return (
        _above(losses, "the loss", _loss_limit)
        or _above(norms, "the gradients' norm", _limit)
        or _crept(losses)
    )


def no_preference(figures: Figures) -> str:
    """After half of all steps the chosen answer is preferred no more often than by chance, or by
    next to nothing: the accuracy counts the sign of a margin, however small that is."""
    accuracies, margins = _later_half(figures, "accuracy"), _later_half(figures, "margin")
    if accuracies and _is_below(accuracies, PREFERRED):
        return (
            f"over the last {len(accuracies)} readings {fmean(accuracies):.0%} "
            "of the chosen answers were preferred"
        )
    if margins and _is_below(margins, NOTHING):
        return (
            f"over the last {len(margins)} readings the reward margin was {fmean(margins):.1g}, "
            f"where {NOTHING} is next to nothing"
        )
    return ""


def collapse(figures: Figures) -> str:
    """The chosen answers have become far less likely than they were, or the reward margin has
    fallen below half of what it was at its best."""
    return _unlearned(figures) or _fallen(figures)


DETECTORS: dict[str, Callable[[Figures], str]] = {
    "overfitting": overfitting,
    "instability": instability,
    "no_preference": no_preference,
    "collapse": collapse,
}


def _later_half(figures: Figures, name: str) -> list[float]:
    """The later half of the readings, once half of all steps are done and they are enough."""
    found = figures.of(name)
    half = found[len(found) // 2 :]
    if len(half) < FEW or half[-1][0] < figures.total / 2:
        return []
    return [value for _, value in half if math.isfinite(value)]


def _is_below(values: Sequence[float], limit: float) -> bool:
    """Their mean is, by 2.5 of its standard errors: readings of few pairs scatter widely."""
    middle = fmean(values)
    if middle >= limit:
        return False
    spread = fmean((value - middle) ** 2 for value in values)
    return middle + 2.5 * math.sqrt(spread / max(1, len(values) - 1)) < limit


def _unlearned(figures: Figures) -> str:
    """Five readings in all of which the chosen answers' log-probability is three times as far below
    zero as in the reference model: DPO needs only that the rejected ones fall faster."""
    pairs = list(zip(figures.of("chosen"), figures.of("chosen_before"), strict=False))[-5:]
    gone = [now < 3 * before < 0 and before - now > LOST for (_, now), (_, before) in pairs]
    if len(gone) < 5 or not all(gone):
        return ""
    now, before = (fmean(one[at][1] for one in pairs) for at in (0, 1))
    return (
        f"the chosen answers' log-probability fell from {before:.3g} to {now:.3g}: "
        "the model unlearns what it should prefer"
    )


def _fallen(figures: Figures) -> str:
    """The latest fifth of the readings, ten at least, against the best of those before it."""
    found = [value for _, value in figures.of("margin") if math.isfinite(value)]
    width = max(FEW, len(found) // 5)
    parts = [found[at : at + width] for at in range(0, len(found) - 2 * width + 1, width)]
    best, now = max(map(fmean, parts), default=0.0), fmean(found[-width:] or [0.0])
    if best < 0.1 or now >= best / 2 or best - now < 4 * _scatter(found) * math.sqrt(2 / width):
        return ""
    return f"the reward margin fell from {best:.3g} to {now:.3g}"


def _crept(points: Sequence[Point]) -> str:
    """The medians of the latest ten, and of the ten before, lie above that of the lowest ten before
    them: by a quarter, by three tenths of a nat, and by more than they scatter."""
    values = [value for _, value in points if math.isfinite(value)]
    parts = [values[at : at + FEW] for at in range(len(values) - 3 * FEW, -1, -5)]
    if not parts:
        return ""
    low, now = min(map(median, parts)), median(values[-FEW:])
    now = min(now, median(values[-2 * FEW : -FEW]))
    rise = now - low
    if rise <= max(0.3, abs(low) / 4) or rise <= SPREAD * _scatter(values):
        return ""
    return f"the loss crept up from {low:.3g} to {now:.3g}"


def _scatter(values: Sequence[float]) -> float:
    """The standard deviation from one reading to the next: no trend counts, and no outlier."""
    steps = [abs(after - before) for before, after in pairwise(values)]
    return 1.4826 * median(steps) / math.sqrt(2)


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
