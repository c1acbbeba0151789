"""Going on with a run that waits, failed, was interrupted or died.

What its stages made stays what it was: their outputs are found again by their recorded names
(`town:v3`, `preferences:town@2`, a piece of evidence), so feedback that came since starts no other
round. Only the stages that were not done are run, as they are declared now; a declaration that has
changed since is another run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmops.errors import BadInput
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.locate import locate
from llmops.runner.devices import own_gpus
from llmops.runner.graph import Graph, build_graph
from llmops.runner.record import RunRecord, StageRecord, find_run
from llmops.runner.run_log import RunLog, run_lock
from llmops.runner.stage import Context, Made, Node, Stage
from llmops.spec.reference import parse_reference
from llmops.store.digest import sha256_json

GOES_ON = ("waiting", "failed", "interrupted", "died")


@dataclass(frozen=True)
class Recorded:
    """Something that a stage made and that is known by its name alone."""

    id: str
    digest: str


@dataclass(frozen=True)
class Resumed:
    """A run that can go on. made: the outputs of the stages that were done, by stage."""

    record: RunRecord
    graph: Graph
    made: Mapping[str, Made | None]


def declared_digest(node: Node) -> str:
    """sha256 of what a stage's declaration says, once resolved."""
    inputs = {name: str(item.reference) for name, item in node.inputs.items()}
    spec = node.spec.model_dump(mode="json")
    return sha256_json({"kind": node.kind, "spec": spec, "inputs": inputs, "after": node.after})


def resume(run: str, *, context: Context, kinds: dict[str, Stage]) -> Resumed:
    """A run, by its id or `last`, as it would go on. Reads only.

    Raises BadInput when it cannot go on, its declaration has changed, or what it made is gone.
    """
    record = find_run(context.paths, run)
    _can_go_on(record)
    path = context.settings.root / (record.file or record.target)
    root = context.settings.root
    graph = build_graph(path, record.overrides, root=root, kinds=kinds, scope=record.scope)
    _unchanged(record, graph)
    made = {
        stage.name: _recall(stage, record, context)
        for stage in record.stages
        if stage.state in ("done", "reused")
    }
    return Resumed(record, graph, made)


def take_over(resumed: Resumed, context: Context) -> RunLog:
    """Go on with it in this process. Raises BadInput when another has taken it meanwhile."""
    with run_lock(context.paths, resumed.record.id):
        _can_go_on(find_run(context.paths, resumed.record.id))
        return RunLog.resume(context.paths, resumed.record, own_gpus(resumed.graph))


def _can_go_on(record: RunRecord) -> None:
    if record.state in GOES_ON:
        return
    again = f"`llmops run {record.target}` starts another"
    fix = {
        "running": f"process {record.pid} is at it{_elsewhere(record)}",
        "refused": "the evidence of this run will not change; " + again,
    }
    raise BadInput(f"run {record.id} is {record.state}", fix=fix.get(record.state, again))


def _unchanged(record: RunRecord, graph: Graph) -> None:
    before = {stage.name: stage.declared for stage in record.stages}
    now = {node.name: declared_digest(node) for node in graph.nodes}
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        raise BadInput(
            f"run {record.id} cannot go on: the declaration of {', '.join(changed)} has changed",
            where=record.target,
            fix=f"undo the change, or start anew: `llmops run {record.target}`",
        )


def _elsewhere(record: RunRecord) -> str:
    return "" if record.is_here else f", on the host {record.host}"


def _recall(stage: StageRecord, record: RunRecord, context: Context) -> Made | None:
    """What a stage of the run made, by its name; None for one that made nothing of its own."""
    if stage.output is None:
        return None
    try:
        made: Made = _found(stage, stage.output, context)
        return made
    except BadInput as error:
        raise BadInput(
            f"what the stage `{stage.name}` of run {record.id} made cannot be found: {error.what}",
            where=error.where,
            fix=error.fix or f"start anew: `llmops run {record.target}`",
        ) from error


def _found(stage: StageRecord, name: str, context: Context) -> Any:
    try:
        scheme = parse_reference(name).scheme
    except ValueError:
        digest = stage.digest or ""
        evidence = stage.kind == "evaluate"
        return _evidence(name, digest, context) if evidence else Recorded(name, digest)
    if scheme == "preferences":
        from llmops.preferences.snapshot import find_snapshot

        return find_snapshot(parse_reference(name).target, context.paths)
    return locate(name, context.registry, context.settings.root, context.settings.root / "-")


def _evidence(name: str, digest: str, context: Context) -> Evidence:
    """Evidence that was found anew since, of the same id, may say something else."""
    log = EvidenceLog(context.paths)
    for model in context.registry.names():
        for one in log.of(model):
            if (one.id, one.digest) == (name, digest):
                return one
    raise BadInput(f"there is no evidence `{name}` with the digest {digest[:12]}")
