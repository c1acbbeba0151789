"""What llmops.toml asks of the stages of a pipeline that move an alias."""

from llmops.errors import BadInput
from llmops.registry.manifest import Manifest
from llmops.registry.standing import declared, needs, stands_on
from llmops.runner.stage import Context, Node
from llmops.spec.pipeline import PipelineStage

_ASKS = {
    "evaluation": 'when: "stage:NAME"',
    "experiment": 'when: "experiment:NAME"',
    "approval": "approval: true",
}
"""How a stage asks for what a policy needs."""


def refuse_unasked(name: str, version: Manifest | None, node: Node, context: Context) -> None:
    """Raises BadInput when the policy needs what neither the stage asks for nor is there already.

    name: of the model; version: None when it is made first. An evaluation may come from a stage
    before one that waits for an experiment: it is asked for as the alias moves.
    """
    alias = str(node.spec.to)
    policy = declared(name, alias, context.registry)
    current = context.registry.alias_log.names(name, alias)
    if policy is None or (version is not None and current == version.id):
        return
    unasked = [need for need in needs(policy, current) if need not in _asked(node.spec)]
    if version is not None and "approval" not in unasked:
        rest = policy.model_copy(update={"needs": unasked})
        unasked = unasked if stands_on(version, alias, context.registry, rest).missing else []
    if unasked:
        raise BadInput(
            f"llmops.toml asks of {name}@{alias} for {' and '.join(unasked)}; this stage does not",
            where=node.declared.source.where(("stages", node.name, "to")),
            fix=" and ".join(f"`{_ASKS[need]}`" for need in unasked),
        )


def lacks(version: Manifest, node: Node, context: Context) -> list[str]:
    """What the policy misses, in words, as the alias moves."""
    alias = str(node.spec.to)
    policy = declared(version.name, alias, context.registry)
    return [] if policy is None else stands_on(version, alias, context.registry, policy).missing


def experiment_of(spec: PipelineStage) -> str | None:
    """The experiment that a move waits for."""
    if spec.when is None or not spec.when.startswith("experiment:"):
        return None
    return spec.when.removeprefix("experiment:")


def _asked(spec: PipelineStage) -> set[str]:
    asked = {"approval"} if spec.approval else set()
    if spec.when is not None:
        asked |= {"evaluation", "experiment"} if experiment_of(spec) else {"evaluation"}
    return asked
