"""From the outcomes of users to independent differences: the candidate's minus the control's.

A user who comes back a hundred times is one unit, not a hundred: what was drawn at random is the
unit's variant, once. So each unit counts once, by its first outcome, and is never looked at again
(its later ones would follow what is known of it already, which no interval that is watched all the
time allows). Units are taken in the order of those outcomes, in blocks of a few of each variant,
in the proportion in which they come; a block's difference of means has the expectation of the
experiment, whatever came before, as long as units arrive in no order that differs by variant.

The proportion of a block is settled before the outcomes in it are seen: at the start by the
weights, then anew each time the number of blocks has doubled. So blocks never change afterwards.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from llmops.experiments.betting import Floats

FIRST = 8
"""Blocks until the proportion is looked at again."""
_LARGEST = 20
_WEIGHT = 200
"""For so many units the declared weights count, beside the units that were seen."""
_SPARE = 0.9
"""A block takes a little less of the frequent variant than comes, so that the rare one, on which
the width of the interval depends, never waits for it."""
_STEEP = 2.5


def differences(candidate: NDArray[np.bool_], values: Floats, share: float) -> Floats:
    """The differences of all whole blocks, oldest first.

    candidate: for each unit, in order, whether its variant was the candidate; values: its outcome;
    share: the candidate's weight, of the two.
    """
    places = (np.flatnonzero(~candidate), np.flatnonzero(candidate))
    taken, seen, found = [0, 0], [0, 0], [np.empty(0)]
    blocks = FIRST
    while True:
        sizes = _sizes(seen[0] + _WEIGHT * (1 - share), seen[1] + _WEIGHT * share)
        whole = min((len(places[arm]) - taken[arm]) // sizes[arm] for arm in (0, 1))
        number = min(blocks, whole)
        means = []
        for arm in (0, 1):
            chosen = places[arm][taken[arm] : taken[arm] + number * sizes[arm]]
            means.append(values[chosen].reshape(number, sizes[arm]).mean(axis=1))
            taken[arm] += number * sizes[arm]
        found.append(means[1] - means[0])
        if whole < blocks:
            return np.concatenate(found)
        last = max(places[arm][taken[arm] - 1] for arm in (0, 1)) + 1
        seen = [int(np.searchsorted(places[arm], last)) for arm in (0, 1)]
        blocks = sum(len(part) for part in found)


def _sizes(control: float, candidate: float) -> tuple[int, int]:
    """Units of each variant in a block, for the proportion control : candidate."""
    if control < candidate:
        second, first = _sizes(candidate, control)
        return first, second
    ratio = control / candidate if candidate > 0 else _LARGEST
    # Blocks of one size weigh alike; where the proportion is steep, one of the rare is a block.
    near = Fraction(min(max(1.0, _SPARE * ratio), _LARGEST)).limit_denominator(2)
    return (int(near), 1) if ratio > _STEEP else (near.numerator, near.denominator)
