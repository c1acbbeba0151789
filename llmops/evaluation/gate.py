"""What a gate makes of measured figures: each requirement, met or not, in words with figures.

A requirement is met when the interval says so, not the estimate: a small suite proves little, and
then the gate refuses.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmops.evaluation.measure import Measured, perplexity_of
from llmops.evaluation.statistics import Interval
from llmops.spec.evaluation import Requirement


@dataclass(frozen=True)
class Verdict:
    """One requirement. words: what was asked and what was found."""

    requirement: Requirement
    passed: bool
    words: str


def judged(
    gate: Sequence[Requirement], measured: Sequence[Measured], confidence: float
) -> list[Verdict]:
    """A verdict for each requirement; their metrics are among those measured."""
    by_name = {(one.suite, one.metric): one for one in measured}
    return [_verdict(one, by_name[one.suite, one.metric], confidence) for one in gate]


def _verdict(asks: Requirement, found: Measured, confidence: float) -> Verdict:
    name = f"{asks.suite}.{asks.metric}"
    level = f"{confidence:.0%} interval"
    if found.kind == "perplexity":
        return _of_perplexity(asks, found, name, level)
    if asks.at_least is not None:
        passed = found.version.low >= asks.at_least
        words = (
            f"{name} is to be at least {percent(asks.at_least)}: "
            f"found {percent(found.version.estimate)}, {level} {bounds(found.version)}"
        )
        return Verdict(asks, passed, words)
    assert found.difference is not None
    assert found.baseline is not None
    passed, wanted = _of_difference(asks, found.difference)
    words = (
        f"{name} is to be {wanted}: found {percent(found.version.estimate)} against "
        f"{percent(found.baseline.estimate)}, a difference of "
        f"{points(found.difference.estimate)}, {level} {bounds(found.difference, points)}"
    )
    return Verdict(asks, passed, words)


def _of_difference(asks: Requirement, found: Interval) -> tuple[bool, str]:
    if asks.not_worse_by is not None:
        return found.low > -asks.not_worse_by, f"worse by less than {points(asks.not_worse_by, '')}"
    assert asks.better_by is not None
    if asks.better_by == 0:
        return found.low > 0, "better"
    return found.low >= asks.better_by, f"better by at least {points(asks.better_by, '')}"


def _of_perplexity(asks: Requirement, found: Measured, name: str, level: str) -> Verdict:
    """Bounds are relative: 0.05 is a perplexity 5% higher, or lower."""
    assert found.difference is not None
    assert found.baseline is not None
    high = found.difference.high
    if asks.not_worse_by is not None:
        passed = high < math.log1p(asks.not_worse_by)
        wanted = f"higher by less than {percent(asks.not_worse_by)}"
    else:
        better = asks.better_by or 0.0
        passed = high < 0 if better == 0 else high <= math.log1p(-better)
        wanted = f"lower by at least {percent(better)}" if better else "lower"
    words = (
        f"{name} is to be {wanted}: found {perplexity_of(found.version.estimate):.3f} against "
        f"{perplexity_of(found.baseline.estimate):.3f}, a change of "
        f"{relative(found.difference.estimate)}, {level} {bounds(found.difference, relative)}"
    )
    return Verdict(asks, passed, words)


def percent(value: float) -> str:
    """0.8731 as `87.3%`."""
    return f"{100 * value:.1f}%"


def points(value: float, sign: str = "+") -> str:
    """-0.021 as `-2.1 points`."""
    return f"{100 * value:{sign}.1f} points"


def relative(change: float) -> str:
    """The change of a perplexity whose logarithm changed by this."""
    return f"{100 * math.expm1(min(change, 700.0)):+.1f}%"


def bounds(found: Interval, shown: Callable[[float], str] = percent) -> str:
    low, high = shown(found.low), shown(found.high)
    return f"{low.removesuffix(' points')} to {high}"
