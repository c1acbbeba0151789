"""Confidence sequences for the mean of values without bounds, as a custom metric may have.

The mixture t-test of Lindon, Ham, Tingley and Bojinov ("Anytime-valid linear models and regression
adjusted causal inference in randomized experiments", 2022): a Bayes factor that does not depend on
the scale of the values, exact at all times for normal ones and right in the limit for others
(Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 2024). Fewer than MIN_VALUES, or values that are all
the same, say nothing; very heavy tails need more. Bounded values have better: betting.py.
"""

import math

import numpy as np

from llmops.experiments.betting import Floats

MIN_VALUES = 20
_PRIOR = 50.0
"""The interval is narrowest, relative to its size, after some such number of values."""


def interval(values: Floats, *, alpha: float) -> tuple[float, float]:
    """All the means that `values` do not speak against, at level 1 - alpha."""
    n = len(values)
    if n < MIN_VALUES:
        return -math.inf, math.inf
    share = _PRIOR / (_PRIOR + n)
    bound = math.exp(-math.log(alpha**2 * share) / n)
    spread = float(np.std(values))
    if bound * share >= 1 or spread == 0:
        return -math.inf, math.inf
    half = math.sqrt((bound - 1) / (1 - bound * share)) * spread
    mean = float(values.mean())
    return mean - half, mean + half
