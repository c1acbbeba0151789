"""What a suite can show, before anything is asked: the smallest drop that it detects, and whether
a gate asks for more than it can ever show.

A gate that an unchanged version could not pass says nothing about versions; it is refused as input
with the number of items that it takes. Sample sizes of paired differences after Connor (Biometrics
43, 1987, 207-211), for the share of changed answers that is stated.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from llmops.evaluation.gate import percent, points
from llmops.evaluation.statistics import Clusters, tango, wilson
from llmops.spec.evaluation import Requirement

POWER = 0.8
CHANGED = 0.1
"""The share of the answers assumed to change between two versions; more when the drop is more."""
_MOST = 10_000_000


@dataclass(frozen=True)
class Ability:
    """What a suite can do for one requirement. words: for the plan; refused: why it can never be
    met by a version that deserves it, if so, and needs: what it takes."""

    words: str
    refused: str = ""
    needs: str = ""


def ability(asks: Requirement, kind: str, clusters: Clusters, confidence: float) -> Ability:
    """kind: of the metric (spec.suite.Metric.kind); clusters: of the suite's items."""
    name = f"{asks.suite}.{asks.metric}"
    if kind == "perplexity":
        return Ability(f"{name}: how small a change shows is known once it is measured")
    why = _impossible(asks, clusters, confidence)
    if why:
        needs = _needs(asks, clusters, confidence)
        return Ability("", f"{name}: {why}", needs)
    quantile = clusters.quantile(0.5 + confidence / 2)
    apart = _smallest(asks, clusters.items, quantile)
    if not clusters.independent:
        together = _smallest(asks, clusters.worth, quantile)
        apart += f" if the items of a source fail independently, {together} if together"
    return Ability(f"{name}: {_detects(asks)} {apart}, {POWER:.0%} of the time{_assumed(asks)}")


def _detects(asks: Requirement) -> str:
    if asks.at_least is not None:
        return "passes a true rate from"
    return "detects a drop of" if asks.not_worse_by is not None else "detects a gain of"


def _assumed(asks: Requirement) -> str:
    if asks.at_least is not None:
        return ""
    return f", where {CHANGED:.0%} of the answers change"


def _impossible(asks: Requirement, clusters: Clusters, confidence: float) -> str:
    """Why even the best result would not meet the requirement; empty when one would."""
    quantile = clusters.quantile(0.5 + confidence / 2)
    size = _size(clusters)
    if asks.not_worse_by is not None:
        shown = -tango(0, 0, clusters.worth, quantile)[0]
        if shown < asks.not_worse_by:
            return ""
        return (
            f"not_worse_by {asks.not_worse_by:g} cannot be shown by {size}: even if no answer "
            f"changes, a drop of up to {points(shown, '')} is not excluded"
        )
    if asks.at_least is not None:
        shown = wilson(clusters.worth, clusters.worth, quantile)[0]
        if shown >= asks.at_least:
            return ""
        return (
            f"at_least {asks.at_least:g} cannot be shown by {size}: even if all succeed, the "
            f"rate may be {percent(shown)}"
        )
    shown = tango(clusters.worth, 0, clusters.worth, quantile)[0]
    if shown > (asks.better_by or 0.0):
        return ""
    return (
        f"better_by {asks.better_by:g} cannot be shown by {size}: even if every answer "
        f"improves, no more than {points(shown, '')} is certain"
    )


def _size(clusters: Clusters) -> str:
    if clusters.independent:
        return f"{clusters.items:,} items"
    return f"{clusters.items:,} items from {clusters.count:,} sources"


def _needs(asks: Requirement, clusters: Clusters, confidence: float) -> str:
    """How many items, or sources of the same shape, would do."""
    low, high = clusters.count, clusters.count
    while _impossible(asks, clusters.scaled(high), confidence):
        if high > _MOST:
            return "no number of items shows that; ask for less"
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _impossible(asks, clusters.scaled(middle), confidence):
            low = middle
        else:
            high = middle
    what = "items" if clusters.independent else "sources (values of the items' `source`)"
    return f"it takes {high:,} {what}; add some, or ask for less"


def _smallest(asks: Requirement, items: float, quantile: float) -> str:
    """What is detected with probability POWER by so many independent items."""
    from scipy.special import ndtri

    power = float(ndtri(POWER))
    if asks.at_least is not None:
        rate = smallest_rate(asks.at_least, items, quantile, power)
        return "nearly all" if rate is None else percent(rate)
    size = smallest_difference(items, quantile, power)
    return points(min(1.0, size + (asks.better_by or 0.0)), "")


def smallest_difference(items: float, quantile: float, power: float) -> float:
    """The smallest paired difference whose interval leaves out 0 with the probability whose normal
    quantile is `power`, when CHANGED of the pairs differ (all in one direction, if that takes
    more)."""

    def lacking(size: float) -> float:
        changed = max(CHANGED, size)
        spread = quantile * math.sqrt(changed) + power * math.sqrt(changed - size * size)
        return size * math.sqrt(items) - spread

    return _root(lacking, 0.0, 1.0) or 1.0


def smallest_rate(least: float, items: float, quantile: float, power: float) -> float | None:
    """The smallest true rate whose interval lies at or above `least` with that probability; None
    when only a rate of 1 would."""

    def lacking(rate: float) -> float:
        spread = quantile * math.sqrt(least * (1 - least)) + power * math.sqrt(rate * (1 - rate))
        return (rate - least) * math.sqrt(items) - spread

    return _root(lacking, least, 1.0)


def _root(lacking: Callable[[float], float], low: float, high: float) -> float | None:
    """Where `lacking` rises above 0; None when it does not."""
    from scipy.optimize import brentq

    if lacking(high) <= 0:
        return None
    return low if lacking(low) >= 0 else float(brentq(lacking, low, high, xtol=1e-9))
