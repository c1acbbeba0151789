"""`llmops plan --fit`: for each stage that trains, the smallest change with which it fits."""

import shlex
from collections.abc import Sequence
from typing import Any

from llmops.errors import BadInput
from llmops.runner.plan import Plan, PlannedStage
from llmops.spec.pipeline import Pipeline
from llmops.spec.source import display
from llmops.stages.catalog import KINDS
from llmops.stages.resources import overridden
from llmops.stages.train import Train


def proposals(plan: Plan, given: Sequence[str] = ()) -> list[dict[str, Any]]:
    """By stage: `overrides`, which are none where it fits as it is, and the `command` that runs its
    recipe with them (None in a pipeline, whose stages have a `set:`); or `problem`, why nothing is
    proposed. given: what the plan was made with. Raises BadInput when nothing trains."""
    training = [one for one in plan.stages if one.node.kind == Train.kind]
    if not training:
        where = display(plan.graph.target.path)
        raise BadInput(
            "it trains nothing, so there is nothing to fit", where=where, fix="leave out --fit"
        )
    target = plan.graph.target
    found = []
    for one in training:
        if one.state != "reuse":
            own = given if one.node.declared.path == target.path else ()
            pipeline = isinstance(target.spec, Pipeline)
            found.append(_proposal(one, None if pipeline else own))
    return found


def proposals_text(found: list[dict[str, Any]]) -> str:
    """Lines for a person, the commands to be copied."""
    lines = []
    for one in found:
        if one["problem"]:
            lines.append(f"{one['stage']}: {one['problem']}")
        elif not one["overrides"]:
            lines.append(f"{one['stage']}: fits as it is")
        elif one["command"]:
            lines += [f"{one['stage']}: fits with", f"  {one['command']}"]
        else:
            told = ", ".join(text.replace("=", ": ", 1) for text in one["overrides"])
            lines += [f"{one['stage']}: fits with, in the pipeline,", f"  set: {{{told}}}"]
    return "\n".join(lines or ["everything is up to date"])


def _proposal(stage: PlannedStage, given: Sequence[str] | None) -> dict[str, Any]:
    """given: overrides that its recipe has already; None in a pipeline."""
    kind = KINDS[stage.node.kind]
    assert isinstance(kind, Train)
    overrides: list[str] = []
    problem = ""
    try:
        overrides = overridden(kind.smaller(stage.prepared))
    except BadInput as error:
        problem = f"{error.what} ({error.fix})"
    file = display(stage.node.declared.path)
    command = shlex.join(["llmops", "run", file, *(given or ()), *overrides])
    return {
        "stage": stage.node.name,
        "overrides": overrides,
        "command": command if overrides and given is not None else None,
        "problem": problem,
    }
