"""Confidence sequences for the mean of bounded values: intervals that hold at every time at once.

Someone who doubts a mean m bets on each value in turn, at odds that are fair if m is right: with
stake c, the capital is multiplied by 1 + c (x - m) / (m - low), which never goes below 1 - c. If m
is right the capital is a non-negative martingale, so it ever reaches 1/a with probability at most a
(Ville 1939). The interval is all m that have not been bet away, each side at half of alpha. It
holds for any distribution on [low, high], from the first value on, however often one looks; nothing
is assumed normal and no variance is estimated (Waudby-Smith and Ramdas, "Estimating means of
bounded random variables by betting", JRSS B 2024). The capital is spread over stakes evenly in
log c, so no effect size need be named beforehand; it costs about two units of log capital.

What is needed: each value has the same mean m given those before it. blocks.py makes such values
of the outcomes of users. Values without bounds are normal.py's.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STAKES: Floats = np.geomspace(0.01, 0.9, 20)
"""Small stakes find small differences late, large ones large differences soon."""


def log_capital(values: Floats, mean: float, *, low: float) -> Floats:
    """The log capital after each value of a bet that the mean is above `mean`.

    values: shape (..., n), none below `low`, and `low` < `mean`. Shape (..., n).
    """
    steps = (values - mean) / (mean - low)
    paths = [np.cumsum(np.log1p(stake * steps), axis=-1) for stake in STAKES]
    return np.asarray(np.logaddexp.reduce(paths, axis=0) - math.log(len(STAKES)), dtype=np.float64)


def interval(values: Floats, *, low: float, high: float, alpha: float) -> tuple[float, float]:
    """All the means in [low, high] that `values` do not speak against, at level 1 - alpha."""
    lower = _end(values, low, alpha, high)
    upper = -_end(-values, -high, alpha, -low)
    return lower, upper


def _end(values: Floats, low: float, alpha: float, high: float) -> float:
    """The least mean that a bet on more has not refuted. The final capital falls as the mean
    that is bet against rises, so its crossing is found by bisection."""
    if len(values) == 0 or values.max() <= low:
        return low
    distinct, counts = np.unique(values, return_counts=True)
    goal = math.log(2 / alpha)
    below, above = low, min(float(values.mean()), high)  # at its own mean nothing is refuted
    for _ in range(24):
        middle = (below + above) / 2
        if _final(distinct, counts, middle, low) >= goal:
            below = middle
        else:
            above = middle
    return below


def _final(distinct: Floats, counts: NDArray[np.int64], mean: float, low: float) -> float:
    """The last of `log_capital`, from how often each value came."""
    if mean <= low:
        return math.inf
    steps = (distinct - mean) / (mean - low)
    ends = np.log1p(np.multiply.outer(STAKES, steps)) @ counts
    return float(np.logaddexp.reduce(ends)) - math.log(len(STAKES))
