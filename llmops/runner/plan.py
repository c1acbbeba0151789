"""What would run, and why. Planning only reads (design decision 2)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llmops.errors import BadInput
from llmops.registry.hub.cache import NotCached, cached_file, not_cached
from llmops.registry.locate import locate
from llmops.runner.downloads import Download, download_of
from llmops.runner.fingerprint import fingerprint
from llmops.runner.graph import Graph, build_graph
from llmops.runner.scope import EVERYTHING, Scope
from llmops.runner.stage import Context, Made, Node, Pending, Prepared, Stage
from llmops.spec.reference import Reference, parse_reference
from llmops.spec.source import display


@dataclass(frozen=True)
class PlannedStage:
    """A stage with what is known of it before anything runs.

    state: `reuse` (its output exists), `run`, or `pending` (an input is made first, and only
    then is it known whether its output exists). reasons: why it is not reused.
    """

    node: Node
    prepared: Prepared
    state: str
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.prepared.reasons


@dataclass(frozen=True)
class Plan:
    graph: Graph
    stages: list[PlannedStage]


def make_plan(
    path: Path,
    overrides: Sequence[str],
    *,
    context: Context,
    kinds: dict[str, Stage],
    scope: Scope = EVERYTHING,
) -> Plan:
    """The plan of a recipe or pipeline, or of the part of it that `scope` says."""
    root = context.settings.root
    graph = build_graph(path, overrides, root=root, kinds=kinds, scope=scope)
    return plan_graph(graph, context=context, kinds=kinds)


def plan_graph(
    graph: Graph,
    *,
    context: Context,
    kinds: dict[str, Stage],
    made: Mapping[str, Made | None] = MappingProxyType({}),
) -> Plan:
    """As `make_plan`. made: what stages of this very run made before, by stage."""
    outputs: dict[str, Any] = dict(made)
    stages = []
    for node in graph.nodes:
        if node.name in made:
            kept = Prepared({}, found=made[node.name], done=True, summary="done before")
            stages.append(PlannedStage(node, kept, "reuse"))
            continue
        planned = plan_stage(node, outputs, context, kinds, forced=node.name in graph.again)
        outputs[node.name] = (
            planned.prepared.found if planned.state == "reuse" else _promised(planned)
        )
        stages.append(planned)
    return Plan(graph, stages)


def _promised(planned: PlannedStage) -> Pending:
    """What a stage will make; for one that makes nothing of its own, that it ran."""
    return planned.prepared.output or Pending(planned.node.name, "alias", planned.node.name)


def plan_stage(
    node: Node,
    outputs: Mapping[str, Any],
    context: Context,
    kinds: dict[str, Stage],
    *,
    forced: bool,
    pinned: Mapping[str, Any] = MappingProxyType({}),
    bring: Callable[[Download], None] | None = None,
) -> PlannedStage:
    """One stage, given the outputs of those before it. pinned: its inputs as the run's plan found
    them; an alias or a branch of the Hub that has moved since still means what it did then. bring:
    downloads what is not here; without it that is pending."""
    inputs: dict[str, Any] = {}
    for name, item in node.inputs.items():
        if item.node is not None:
            inputs[name] = outputs[item.node]
        else:
            place = node.declared.source.where(item.key)
            found = pinned.get(name)
            if bring is not None and isinstance(found, Download):
                bring(found)
            reference = _pinned(item.reference, found)
            inputs[name] = _existing(reference, node, place, context)
            if bring is not None and isinstance(inputs[name], Download):
                bring(inputs[name])
                inputs[name] = _existing(reference, node, place, context)
    waiting = (outputs[name] for name in node.after)
    inputs["after"] = tuple(one for one in waiting if isinstance(one, Pending))
    prepared = kinds[node.kind].prepare(node, inputs, context)
    return PlannedStage(node, prepared, _state(prepared, forced), inputs)


def _pinned(reference: Reference, found: Made | None) -> Reference:
    moves = reference.scheme in ("alias", "hub", "preferences")
    return parse_reference(found.id) if moves and found is not None else reference


def _existing(reference: Reference, node: Node, where: str, context: Context) -> Made | Download:
    """What a reference names that no stage of this run makes."""
    if reference.scheme == "preferences":
        from llmops.preferences.snapshot import find_snapshot

        return find_snapshot(reference.target, context.paths, where)
    try:
        return _look_up(reference, node, where, context)
    except BadInput as error:
        if not_cached(error) is None:
            raise
        id = "" if reference.scheme == "hub" else str(reference)
        if reference.scheme == "alias":
            id = str(context.registry.resolve(id).id)
        download = download_of(error, id, where)
    return download or _look_up(reference, node, where, context)


def _look_up(reference: Reference, node: Node, where: str, context: Context) -> Made:
    if reference.file:
        try:
            return cached_file(reference, context.digests)
        except NotCached as error:
            raise NotCached(error.what, where=where, fix=error.fix) from error
    root, beside = context.settings.root, node.declared.path
    return locate(str(reference), context.registry, root, beside, where)


def _state(prepared: Prepared, forced: bool) -> str:
    if prepared.pending_on:
        return "pending"
    return "reuse" if prepared.done and not forced else "run"


def describe(plan: Plan, context: Context) -> dict[str, Any]:
    """The plan as plain values, for `--json` and for the run's record."""
    return {
        "name": plan.graph.name,
        "target": display(plan.graph.target.path),
        "stages": [_describe_stage(stage, context) for stage in plan.stages],
    }


def _describe_stage(stage: PlannedStage, context: Context) -> dict[str, Any]:
    prepared = stage.prepared
    estimate = prepared.estimate
    return {
        "stage": stage.node.name,
        "kind": stage.node.kind,
        "engine": getattr(stage.node.spec, "engine", None),
        "needs": sorted(stage.node.needs),
        "file": context.relative(stage.node.declared.path),
        "state": stage.state,
        "summary": prepared.summary,
        "reasons": list(prepared.reasons),
        "notes": list(prepared.notes),
        "pending_on": list(prepared.pending_on),
        "inputs": {n: describe_input(i) for n, i in stage.inputs.items() if n != "after"},
        "output": prepared.found.id if prepared.found and stage.state == "reuse" else None,
        "fingerprint": None if prepared.pending_on else fingerprint(prepared.parts),
        "estimate": {
            "memory_bytes": estimate.memory.peak if estimate.memory else None,
            "memory": dict(estimate.memory.parts) if estimate.memory else {},
            "disk_bytes": estimate.disk_bytes,
            "seconds": estimate.seconds,
            "devices": estimate.devices,
            "cost": context.settings.cost.of(estimate.seconds, estimate.devices),
        },
        "command": None
        if prepared.command is None
        else {
            "argv": prepared.command.argv,
            "env": prepared.command.env,
            "files": prepared.command.files,
        },
    }


def describe_input(item: Any) -> dict[str, Any]:
    """An input pinned to its digest, or the stage that has yet to make it."""
    if isinstance(item, Download):
        return item.describe()
    if isinstance(item, Pending):
        return {"pending": item.node}
    return {"id": item.id, "digest": item.digest}
