"""What an experiment shows so far: outcomes by variant, their difference, with intervals that hold
at every time they are looked at.

Outcomes between 0 and 1 (thumbs, ratings, whether an answer was regenerated, metrics that have had
no other value) are bet on (betting.py), others taken as normal (normal.py). Pure: from frames to
figures. Decisions are decide.py's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmops.experiments import betting, normal
from llmops.experiments.betting import Floats
from llmops.experiments.blocks import differences
from llmops.experiments.declared import Pair
from llmops.experiments.outcomes import entered, exposures, units
from llmops.experiments.ratio import RatioCheck, check_ratio
from llmops.spec.deployment import Experiment

if TYPE_CHECKING:
    import polars as pl

Interval = tuple[float, float]
Method = Literal["bounded", "normal"]


@dataclass(frozen=True)
class Shown:
    """One variant. units: that came; outcomes: those that gave one; mean and interval: of the
    outcomes, at level 1 - alpha; None without any."""

    variant: str
    version: str
    units: int
    outcomes: int
    mean: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Analysis:
    """An experiment at one time.

    gain: by how much the candidate is better (of `regenerate`: how much rarer), and its interval;
    None while there is no whole block. blocks: of units. constant: whether all outcomes are the
    same. share: the candidate's weight, of the two. since: the first generation and time
    (milliseconds) of the exposures.
    """

    control: Shown
    candidate: Shown
    gain: float | None
    interval: Interval | None
    blocks: int
    constant: bool
    method: Method
    share: float
    ratio: RatioCheck
    exposures: int
    since: tuple[int, int] | None


def analyse(
    inferences: "pl.DataFrame",
    events: "pl.DataFrame",
    experiment: Experiment,
    pair: Pair,
    *,
    share: float,
    shares: Mapping[int, float | None],
    now: int,
) -> Analysis:
    """inferences, events: of the deployment (feedback.frames). share: the candidate's weight, of
    the two, now; shares: by generation. now: milliseconds since 1970."""
    shown = exposures(inferences, pair, simulated=experiment.simulated)
    came = entered(shown)
    seen = units(shown, events, experiment.outcome, simulated=experiment.simulated, now=now)
    method: Method = "bounded"
    if len(seen.values) and not 0 <= seen.values.min() <= seen.values.max() <= 1:
        method = "normal"
    sign = -1.0 if experiment.outcome == "regenerate" else 1.0
    steps = sign * differences(seen.candidate, seen.values, share)
    sides = [
        _shown(name, version, sum(one[arm] for one in came.values()), values, method, experiment)
        for arm, (name, version, values) in enumerate(
            (
                (pair.control, pair.control_version, seen.values[~seen.candidate]),
                (pair.candidate, pair.candidate_version, seen.values[seen.candidate]),
            )
        )
    ]
    return Analysis(
        control=sides[0],
        candidate=sides[1],
        gain=float(steps.mean()) if len(steps) else None,
        interval=_interval(steps, -1.0, method, experiment.alpha) if len(steps) else None,
        blocks=len(steps),
        constant=len(seen.values) > 0 and seen.values.min() == seen.values.max(),
        method=method,
        share=share,
        ratio=check_ratio(came, shares),
        exposures=shown.height,
        since=(shown["generation"][0], shown["time"][0]) if shown.height else None,
    )


def _shown(
    variant: str, version: str, came: int, values: Floats, method: Method, experiment: Experiment
) -> Shown:
    if not len(values):
        return Shown(variant, version, came, 0, None, None)
    ends = _interval(values, 0.0, method, experiment.alpha)
    return Shown(variant, version, came, len(values), float(values.mean()), ends)


def _interval(values: Floats, low: float, method: Method, alpha: float) -> Interval:
    """Of outcomes (low: 0) or differences of outcomes (low: -1)."""
    if method == "bounded":
        return betting.interval(values, low=low, high=1.0, alpha=alpha)
    return normal.interval(values, alpha=alpha)
