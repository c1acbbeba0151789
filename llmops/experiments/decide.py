"""Whether an experiment has decided: the candidate is better, not worse by the margin, worse, or
nothing can be said yet. Reads the log; moves and records nothing (evidence.py does).

An experiment may be asked at any time and as often as one likes: its interval holds at all times
at once, so to stop as soon as it has decided is no error.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmops.experiments.declared import Pair, candidate_share, current_pair, find_experiment
from llmops.gateway.routes import Generation, read_generations
from llmops.runner.stage import Context
from llmops.spec.deployment import Deployment, Experiment
from llmops.spec.load import Loaded
from llmops.store.paths import DeploymentPaths

if TYPE_CHECKING:
    from llmops.experiments.analysis import Analysis

Verdict = Literal["better", "not worse", "worse", "undecided"]


@dataclass(frozen=True)
class Decision:
    """What an experiment says now, and why. pair: None while no two versions face each other;
    analysis: None then."""

    name: str
    experiment: Experiment
    verdict: Verdict
    why: str
    pair: Pair | None = None
    analysis: "Analysis | None" = None

    @property
    def won(self) -> bool:
        return self.verdict in ("better", "not worse")


def decide(name: str, context: Context, where: str = "") -> Decision:
    """Ask the experiment of deployment `name`. where: who asks, for errors.

    Raises BadInput when no deployment of that name declares one.
    """
    return decision(find_experiment(name, context.settings, where), context)


def decision(declared: Loaded[Deployment], context: Context) -> Decision:
    """Ask the experiment that a deployment declares."""
    deployment = declared.spec
    experiment = deployment.experiment
    assert experiment is not None
    pair = current_pair(declared, experiment, context.registry)
    share = candidate_share(deployment, experiment)
    if isinstance(pair, str):
        return Decision(deployment.name, experiment, "undecided", pair)
    if share is None:
        why = "neither variant gets any traffic"
        return Decision(deployment.name, experiment, "undecided", why, pair)
    analysis = _analysis(deployment, experiment, pair, share, context)
    verdict, why = judge(analysis, experiment)
    return Decision(deployment.name, experiment, verdict, why, pair, analysis)


def _analysis(
    deployment: Deployment, experiment: Experiment, pair: Pair, share: float, context: Context
) -> "Analysis":
    from llmops.experiments.analysis import analyse
    from llmops.experiments.outcomes import EVENT_COLUMNS, INFERENCE_COLUMNS
    from llmops.feedback.frames import rows_of
    from llmops.feedback.ingest import fresh
    from llmops.store.tables import feedback, inferences

    database = fresh(context.settings, context.paths)
    try:
        return analyse(
            rows_of(database, inferences, deployment.name, columns=INFERENCE_COLUMNS),
            rows_of(database, feedback, deployment.name, columns=EVENT_COLUMNS),
            experiment,
            pair,
            share=share,
            shares=_shares(context.paths.deployment(deployment.name), experiment),
            now=int(time.time() * 1000),
        )
    finally:
        database.dispose()


def _shares(paths: DeploymentPaths, experiment: Experiment) -> Mapping[int, float | None]:
    """The candidate's weight, of the two, by generation of the routing table."""

    def share(generation: Generation) -> float | None:
        both = [
            generation.variants[name].weight
            for name in (experiment.control, experiment.candidate)
            if name in generation.variants
        ]
        return both[1] / sum(both) if len(both) == 2 and any(both) else None

    return {one.generation: share(one) for one in read_generations(paths)}


def judge(analysis: "Analysis", experiment: Experiment) -> tuple[Verdict, str]:
    """The verdict on what was seen, and why."""
    if analysis.ratio.mismatch:
        return "undecided", _lost(analysis)
    if analysis.interval is None:
        return "undecided", _nothing_yet(analysis, experiment)
    low, high = analysis.interval
    margin = experiment.not_worse_by or 0.0
    shown = f"{experiment.outcome}: gain {span(low, high)}"
    if low > 0:
        return "better", f"{shown} is above 0"
    if experiment.not_worse_by is not None and low > -margin:
        return "not worse", f"{shown} is above -{margin:g}"
    if high < -margin:
        return "worse", f"{shown} is below {f'-{margin:g}' if margin else '0'}"
    still = "all outcomes are the same so far; " if analysis.constant else ""
    goal = f"-{margin:g} or 0" if margin else "0"
    return "undecided", f"{still}{shown} contains {goal}"


def _lost(analysis: "Analysis") -> str:
    counted = ", ".join(
        f"{one.units[0]}:{one.units[1]} against {1 - one.share:.0%}:{one.share:.0%}"
        + f" (generation {one.generation})"
        for one in analysis.ratio.counted
        if one.share is not None
    )
    return (
        f"the variants do not get the units that the weights promise: {counted}; p < "
        f"{analysis.ratio.p:.1g}. Something loses units of one of them, so they cannot be compared"
    )


def _nothing_yet(analysis: "Analysis", experiment: Experiment) -> str:
    control, candidate = analysis.control, analysis.candidate
    if not analysis.exposures:
        return f"no exposures yet of {control.version} and {candidate.version} side by side"
    for side in (control, candidate):
        if not side.units:
            return f"no unit has met {side.variant} ({side.version}) yet"
    for side in (control, candidate):
        if not side.outcomes:
            return f"{side.variant}: none of {side.units} units gave `{experiment.outcome}` yet"
    return f"{control.outcomes} and {candidate.outcomes} outcomes, too few to compare"


def span(low: float, high: float) -> str:
    """An interval as text."""
    return f"[{low:+.3f}, {high:+.3f}]"
