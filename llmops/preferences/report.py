"""What became of the events of a log: counts by kind and builder, every drop with its reason.

The same report stands in the plan, on the card and in snapshot.json. Counts only; no texts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from pydantic import Field

from llmops.spec.grammar import Spec

Unit = Literal["events", "opinions", "pairs", "answers", "comparisons"]


class Drop(Spec):
    """So many of something were left out, and why. builder: where one builder did it."""

    count: int
    unit: Unit
    reason: str
    builder: str | None = None

    def __str__(self) -> str:
        unit = self.unit[:-1] if self.count == 1 else self.unit
        by = f" ({self.builder})" if self.builder else ""
        return f"{self.count:,} {unit}: {self.reason}{by}"


class Length(Spec):
    """chosen_longer: the share of the pairs whose chosen side has more characters; ratio: the mean
    of chosen over rejected characters. For KTO: of good over bad answers, and their mean lengths
    over each other. None where there is nothing to measure."""

    chosen_longer: float | None = None
    ratio: float | None = None


class Report(Spec):
    """events: seen, by kind; opinions: made of them, by builder; pairs: that survived, by builder
    (an answer counts where they are unpaired); good: of unpaired answers. to_ask: comparisons that
    a judge has yet to make."""

    events: dict[str, int] = Field(default_factory=dict)
    inferences: int = 0
    first: int | None = Field(None, description="of the events used, in ms since 1970")
    last: int | None = None
    raters: int = 0
    opinions: dict[str, int] = Field(default_factory=dict)
    pairs: dict[str, int] = Field(default_factory=dict)
    train: int = 0
    holdout: int = 0
    good: int | None = None
    drops: list[Drop] = Field(default_factory=list)
    length: Length = Field(default_factory=lambda: Length())
    simulated: int = Field(0, description="pairs that simulated feedback went into")
    to_ask: int = 0

    @property
    def total(self) -> int:
        return self.train + self.holdout

    def lines(self) -> list[str]:
        """For people: what was found, what is made of it, what is left out."""
        return [*self.found(), *(f"left out {drop}" for drop in self.drops)]

    def found(self) -> list[str]:
        seen = _listed(self.events) or "no feedback"
        lines = [f"log: {seen}; {self.raters:,} raters"]
        if self.length.chosen_longer is not None:
            sides = "good answers are" if self.good is not None else "the chosen side is"
            lines.append(
                f"length: {sides} the longer in {self.length.chosen_longer:.0%}"
                + (f", {self.length.ratio:.2f} times as long" if self.length.ratio else "")
            )
        if self.simulated:
            lines.append(f"simulated feedback went into {self.simulated:,} of them")
        if self.to_ask:
            lines.append(f"a judge would be asked for {self.to_ask:,} comparisons")
        return lines

    def summary(self) -> str:
        """In one line."""
        noun = "pairs" if self.good is None else f"answers ({self.good:,} good)"
        text = f"{self.total:,} {noun}: {self.train:,} to train, {self.holdout:,} held out"
        by = _listed(self.pairs)
        return f"{text} ({by})" if len(self.pairs) > 1 or (self.good is None and by) else text

    def why_few(self) -> str:
        """What was left out, the largest first, in one line."""
        drops = sorted(self.drops, key=lambda drop: -drop.count)
        return "; ".join(str(drop) for drop in drops[:6])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


class Tally:
    """Collects drops while pairs are built; those of 0 are no drops."""

    def __init__(self) -> None:
        self._drops: dict[tuple[str, Unit, str | None], int] = {}
        self._builder: str | None = None

    @contextmanager
    def of(self, builder: str) -> Iterator[None]:
        """What is dropped meanwhile is dropped by this builder."""
        self._builder = builder
        try:
            yield
        finally:
            self._builder = None

    def drop(self, count: int, unit: Unit, reason: str) -> None:
        if count:
            key = (reason, unit, self._builder)
            self._drops[key] = self._drops.get(key, 0) + count

    def drops(self) -> list[Drop]:
        return [
            Drop(count=count, unit=unit, reason=reason, builder=builder)
            for (reason, unit, builder), count in self._drops.items()
        ]
