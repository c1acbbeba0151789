"""`llmops plan --fit`: for each stage that trains, the smallest change with which it fits."""

import shlex
from typing import Any

from llmops.errors import BadInput
from llmops.runner.plan import Plan, PlannedStage
from llmops.spec.source import display
from llmops.stages.catalog import KINDS
from llmops.stages.resources import overridden
from llmops.stages.train import Train


def proposals(plan: Plan) -> list[dict[str, Any]]:
    """By stage: `overrides`, which are none where it fits as it is, and the `command` that runs its
    recipe with them; or `problem`, why nothing is proposed. Raises BadInput when nothing trains."""
    training = [one for one in plan.stages if one.node.kind == Train.kind]
    if not training:
        where = display(plan.graph.target.path)
        raise BadInput("it trains nothing, so there is nothing to fit", where=where)
    return [_proposal(one) for one in training if one.state != "reuse"]


def proposals_text(found: list[dict[str, Any]]) -> str:
    """Lines for a person, the commands to be copied."""
    lines = []
    for one in found:
        if one["problem"]:
            lines.append(f"{one['stage']}: {one['problem']}")
        elif not one["overrides"]:
            lines.append(f"{one['stage']}: fits as it is")
        else:
            lines += [f"{one['stage']}: fits with", f"  {one['command']}"]
    return "\n".join(lines or ["everything is up to date"])


def _proposal(stage: PlannedStage) -> dict[str, Any]:
    kind = KINDS[stage.node.kind]
    assert isinstance(kind, Train)
    overrides: list[str] = []
    problem = ""
    try:
        overrides = overridden(kind.smaller(stage.prepared))
    except BadInput as error:
        problem = f"{error.what} ({error.fix})"
    command = shlex.join(["llmops", "run", display(stage.node.declared.path), *overrides])
    return {
        "stage": stage.node.name,
        "overrides": overrides,
        "command": command if overrides else None,
        "problem": problem,
    }
