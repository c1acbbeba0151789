"""What a gate asks for, held against what the suites measure and can show; before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from llmops.errors import BadInput
from llmops.evaluation.items import Asked
from llmops.spec.evaluation import EvaluateRecipe, Requirement
from llmops.spec.load import Loaded
from llmops.spec.suggest import did_you_mean
from llmops.store.digest import sha256_json
from llmops.store.memory import Memory

if TYPE_CHECKING:
    from llmops.evaluation.power import Ability
    from llmops.evaluation.statistics import Clusters

FORMAT = 1
"""Raised whenever the reckoning changes."""


def abilities(
    declared: Loaded[EvaluateRecipe], suites: Sequence[Asked], memory: Memory
) -> list[str]:
    """What the suites can show of what the gate asks. memory: of what was worked out before
    (importing scipy takes longer than the rest of a plan).

    Raises BadInput where it is impossible.
    """
    from llmops.evaluation.statistics import Clusters

    recipe = declared.spec
    by_name = {asked.suite.name: asked for asked in suites}
    notes = []
    for position, asks in enumerate(recipe.gate):
        found = by_name[asks.suite]
        kind = found.suite.metrics[asks.metric].kind
        can = _ability(asks, kind, Clusters.of(found.sources), recipe.confidence, memory)
        if can.refused:
            raise declared.bad(can.refused, ("gate", position), fix=can.needs)
        notes.append(f"gate: {can.words}")
    return notes


def _ability(
    asks: Requirement, kind: str, clusters: "Clusters", confidence: float, memory: Memory
) -> "Ability":
    from llmops.evaluation.power import Ability, ability

    key = sha256_json([FORMAT, asks.model_dump(), kind, asdict(clusters), confidence])
    known = memory.get(key)
    if known is None:
        known = asdict(ability(asks, kind, clusters, confidence))
        memory.put(key, known)
    return Ability(**known)


def refuse_unmeasured(declared: Loaded[EvaluateRecipe], suites: Sequence[Asked]) -> None:
    """Raises BadInput where the gate asks for what is not measured, or a baseline is lacking."""
    recipe = declared.spec
    for asked in suites:
        for name, metric in asked.suite.metrics.items():
            place = asked.loaded.source.where(("metrics", name, "judge"))
            if metric.judge is not None:
                from llmops.evaluation.judge import key_of

                key_of(metric.judge, place)
                if recipe.baseline is None:
                    fix = "give the evaluation a `baseline`"
                    raise BadInput("a judge compares with a baseline", where=place, fix=fix)
    by_name = {asked.suite.name: asked for asked in suites}
    for position, asks in enumerate(recipe.gate):
        what, key, fix = _problem(asks, by_name, recipe.baseline is not None)
        if what:
            raise declared.bad(what, ("gate", position, key), fix=fix)


def _problem(
    asks: Requirement, suites: Mapping[str, Asked], compared: bool
) -> tuple[str, str, str]:
    """What is wrong with a requirement, the key that says so, and what to do."""
    if asks.suite not in suites:
        return f"no suite `{asks.suite}` is asked", "suite", did_you_mean(asks.suite, suites)
    metrics = suites[asks.suite].suite.metrics
    if asks.metric not in metrics:
        fix = did_you_mean(asks.metric, metrics)
        return f"suite `{asks.suite}` has no metric `{asks.metric}`", "metric", fix
    if asks.at_least is not None:
        if metrics[asks.metric].kind != "perplexity":
            return "", "", ""
        fix = "ask for `not_worse_by` or `better_by` (0.05: 5%)"
        return "perplexity is no rate", "at_least", fix
    key = "better_by" if asks.better_by is not None else "not_worse_by"
    if not compared:
        fix = "give the evaluation a `baseline`"
        return f"`{key}` compares with a baseline", key, fix
    if metrics[asks.metric].kind == "perplexity":
        if (asks.better_by or 0) >= 1:
            return "no perplexity is lower by 100% or more", key, "0.05 is 5% lower"
    elif max(asks.better_by or 0, asks.not_worse_by or 0) >= 1:
        return "no two rates are further apart than 1", key, "0.05 is five points"
    return "", "", ""
