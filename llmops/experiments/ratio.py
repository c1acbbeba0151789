"""The sample-ratio check: do the variants get the share of units that the weights promise?

When they do not, something loses units of one variant (a crash, a filter, a bug in the
assignment), those that are left cannot be compared, and an experiment on them decides nothing.

Units are counted once, in the generation of the routing table in which they first came, and
against its weights. A mixture over other shares is bet against the promised one; the product over
the generations is a martingale while the weights hold, so this too may be watched all the time
(Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.01
"""The chance that a sound experiment is ever called unsound."""
_CONCENTRATION = 100.0
"""Of the mixture, in units: departures of about a tenth of a share are found soonest."""


@dataclass(frozen=True)
class Counted:
    """One generation. units: how many came first in it, control and candidate; share: the
    candidate's weight, of the two; None when it was not recorded."""

    generation: int
    units: tuple[int, int]
    share: float | None


@dataclass(frozen=True)
class RatioCheck:
    """p: the smallest p-value ever reachable so far (1 / capital), valid at any time."""

    counted: Sequence[Counted]
    p: float

    @property
    def mismatch(self) -> bool:
        return self.p < LEVEL

    @property
    def unchecked(self) -> int:
        """Units in generations whose weights are not known."""
        return sum(sum(one.units) for one in self.counted if one.share is None)


def check_ratio(
    units: Mapping[int, tuple[int, int]], shares: Mapping[int, float | None]
) -> RatioCheck:
    """units, shares: by generation, as in Counted."""
    counted = [Counted(g, units[g], shares.get(g)) for g in sorted(units)]
    capital = sum(_log_capital(one.units, one.share) for one in counted if one.share is not None)
    return RatioCheck(counted, min(1.0, math.exp(-min(capital, 700.0))))


def _log_capital(units: tuple[int, int], share: float) -> float:
    """How much better the mixture foresaw these units than the promised share, in logs."""
    control, candidate = units
    if share in (0.0, 1.0):
        return math.inf if (candidate if share == 0.0 else control) else 0.0
    a, b = _CONCENTRATION * (1 - share), _CONCENTRATION * share
    mixture = _log_beta(a + control, b + candidate) - _log_beta(a, b)
    return mixture - control * math.log(1 - share) - candidate * math.log(share)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
