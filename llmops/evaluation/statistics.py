"""Intervals for rates, paired differences and perplexity, over items that may hang together.

Rates: Wilson's score interval. Paired differences of rates: Tango's score interval (Statistics in
Medicine 17, 1998, 891-908), which is not empty where no answer differs, as a bootstrap's is.

Items made from one source are clusters: what is counted is divided by the design effect (Rao and
Scott, Biometrics 48, 1992, 577-585), the variance of the figure over what it would be if the items
were independent, and the normal quantile is replaced by Student's with (sources - 1) degrees of
freedom (as Korn and Graubard do, Survey Methodology 24, 1998, 193-201). Where hardly any item
fails, the data cannot tell how alike the items of a source are; so half a source that fails
altogether and half a one that succeeds altogether are added when the design effect is estimated
(in the manner of Agresti and Coull): the design effect is then the size of a source, its largest
sensible value, when there is nothing to see, and what is seen when there is.

Does not cover unequal weights, nor clusters within clusters.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

PRIOR_SOURCES = 0.5


@dataclass(frozen=True)
class Interval:
    """A figure with its interval. items: how many it is over; sources: how many independent ones
    at most; effective: how many independent items the evidence is worth; method: in words."""

    estimate: float
    low: float
    high: float
    items: int
    sources: int
    effective: float
    method: str


@dataclass(frozen=True)
class Clusters:
    """How items hang together. items: how many; count: of sources; worth: how many independent
    items they are worth at least, when those of a source are all alike."""

    items: int
    count: int
    worth: float

    @classmethod
    def of(cls, sources: Sequence[str]) -> "Clusters":
        sizes = Counter(sources).values()
        items = len(sources)
        return cls(items, len(sizes), items * items / sum(size * size for size in sizes))

    def scaled(self, count: int) -> "Clusters":
        """So many sources of the same shape."""
        share = count / self.count
        return Clusters(round(self.items * share), count, self.worth * share)

    @property
    def independent(self) -> bool:
        """Whether every item has a source of its own."""
        return self.count == self.items

    def quantile(self, probability: float) -> float:
        """Of the normal distribution, or of Student's where items hang together."""
        from scipy.special import ndtri, stdtrit  # scipy.stats takes a second to import

        if self.independent:
            return float(ndtri(probability))
        return float(stdtrit(self.count - 1, probability)) if self.count > 1 else math.inf


def rate(outcomes: Sequence[float], sources: Sequence[str], confidence: float) -> Interval:
    """The share of items that succeed. outcomes: 0 or 1 for each item; sources: by item."""
    clusters = Clusters.of(sources)
    share = sum(outcomes) / len(outcomes)
    effect = design_effect(outcomes, sources)
    effective = clusters.items / effect
    low, high = wilson(share * effective, effective, clusters.quantile(0.5 + confidence / 2))
    words = "Wilson" + _clustered(clusters)
    return Interval(share, low, high, clusters.items, clusters.count, effective, words)


def difference(
    outcomes: Sequence[float], baseline: Sequence[float], sources: Sequence[str], confidence: float
) -> Interval:
    """The rate of the one less that of the other, over the same items in the same order."""
    clusters = Clusters.of(sources)
    changes = [one - other for one, other in zip(outcomes, baseline, strict=True)]
    effective = clusters.items / design_effect(changes, sources, least=-1.0)
    scale = effective / clusters.items
    gained, lost = (scale * sum(c == sign for c in changes) for sign in (1, -1))
    low, high = tango(gained, lost, effective, clusters.quantile(0.5 + confidence / 2))
    estimate = sum(changes) / len(changes)
    words = "Tango's score" + _clustered(clusters)
    return Interval(estimate, low, high, clusters.items, clusters.count, effective, words)


def log_ratio(
    totals: Sequence[tuple[float, float]], sources: Sequence[str], confidence: float
) -> Interval:
    """The mean negative log-likelihood per token, or a difference of two such. totals: for each
    item the sum over its tokens, and their number. Linearised ratio of totals over sources, with
    Student's quantile (Cochran, Sampling Techniques, chapter 6)."""
    from scipy.special import stdtrit

    clusters = Clusters.of(sources)
    tokens = sum(count for _, count in totals)
    mean = sum(total for total, _ in totals) / tokens
    residuals: dict[str, float] = defaultdict(float)
    for (total, count), source in zip(totals, sources, strict=True):
        residuals[source] += total - mean * count
    count = clusters.count
    words = f"linearised ratio over {count:,} sources"
    if count < 2:
        return Interval(mean, -math.inf, math.inf, len(totals), count, count, words)
    variance = count / (count - 1) * sum(r * r for r in residuals.values()) / tokens**2
    half = float(stdtrit(count - 1, 0.5 + confidence / 2)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half, len(totals), count, count, words)


def _clustered(clusters: Clusters) -> str:
    if clusters.independent:
        return ""
    return f", {clusters.items:,} items from {clusters.count:,} sources by design effect"


def design_effect(values: Sequence[float], sources: Sequence[str], least: float = 0.0) -> float:
    """By how much less the items say than independent ones would, 1 or more.

    values: from `least` to 1. The variance of their mean over sources, over that of independent
    items, after PRIOR_SOURCES sources of the usual size were added at each end.
    """
    clusters = Clusters.of(sources)
    if clusters.independent:
        return 1.0
    usual = clusters.items / clusters.count
    totals: dict[str, float] = defaultdict(float)
    for value, source in zip(values, sources, strict=True):
        totals[source] += value
    weight = PRIOR_SOURCES * usual
    items = clusters.items + 2 * weight
    mean = (sum(values) + weight * (1 + least)) / items
    sizes = Counter(sources)
    ends = [(end - mean) ** 2 for end in (1.0, least)]
    between = sum((totals[s] - mean * sizes[s]) ** 2 for s in totals)
    between += PRIOR_SOURCES * usual**2 * sum(ends)
    count = clusters.count + 2 * PRIOR_SOURCES
    within = sum((value - mean) ** 2 for value in values) + weight * sum(ends)
    largest = clusters.items / clusters.worth
    return min(max(1.0, count / (count - 1) * between / within), largest)


def wilson(successes: float, items: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval; the counts may be fractions (effective counts)."""
    if math.isinf(quantile):
        return 0.0, 1.0
    share, squared = successes / items, quantile * quantile
    middle = (share + squared / (2 * items)) / (1 + squared / items)
    half = quantile * math.sqrt(share * (1 - share) / items + squared / (4 * items * items))
    half /= 1 + squared / items
    low = 0.0 if successes <= 0 else max(0.0, middle - half)
    high = 1.0 if successes >= items else min(1.0, middle + half)
    return low, high


def tango(gained: float, lost: float, items: float, quantile: float) -> tuple[float, float]:
    """Tango's score interval for (gained - lost) / items. The counts may be fractions."""
    from scipy.optimize import brentq

    if math.isinf(quantile):
        return -1.0, 1.0
    estimate = (gained - lost) / items

    def excess(delta: float) -> float:
        """How far the score at `delta` lies beyond the quantile, on either side."""
        return abs(_score(gained, lost, items, delta)) - quantile

    def end(limit: float) -> float:
        if abs(estimate - limit) < 1e-12 or excess(limit) <= 0:
            return limit
        return float(brentq(excess, estimate, limit, xtol=1e-10))

    edge = 1 - 1e-12
    return max(-1.0, end(-edge)), min(1.0, end(edge))


def _score(gained: float, lost: float, items: float, delta: float) -> float:
    """Tango's statistic: the difference from `delta`, over its standard error under `delta` (the
    probability of a loss at its restricted maximum of likelihood)."""
    square = 2 * items
    linear = (2 * items - gained + lost) * delta - gained - lost
    constant = -lost * delta * (1 - delta)
    root = math.sqrt(max(0.0, linear * linear - 4 * square * constant))
    loss = max(0.0, (root - linear) / (2 * square))
    variance = items * (2 * loss + delta * (1 - delta))
    distance = gained - lost - items * delta
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)
