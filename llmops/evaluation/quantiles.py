"""Quantiles of the normal and of Student's distribution, and roots: all that intervals and power
need. Importing scipy for it added a third of a second to a plan; tests hold them against it.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_MANY = 200
"""Degrees of freedom from which the expansion is exact to ten digits."""


def normal_quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


@lru_cache
def student_quantile(freedom: int, probability: float) -> float:
    """Of Student's distribution with so many degrees of freedom (1 or more)."""
    if probability < 0.5:
        return -student_quantile(freedom, 1 - probability)
    if freedom > _MANY:
        return _expanded(freedom, normal_quantile(probability))
    angle = root(lambda a: _inside(freedom, a) - (2 * probability - 1), 0.0, math.pi / 2)
    return math.sqrt(freedom) * math.tan(angle)


def _inside(freedom: int, angle: float) -> float:
    """The probability of less than tan(angle) * sqrt(freedom) in size (Abramowitz and Stegun,
    26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _expanded(freedom: int, z: float) -> float:
    """By the normal quantile (Abramowitz and Stegun, 26.7.5)."""
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / math.pow(freedom, power) for power, term in enumerate(terms))


def root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where `rising`, negative at `low` and positive at `high` (which may be the smaller), is 0,
    by halving."""
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
