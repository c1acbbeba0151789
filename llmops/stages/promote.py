"""`promote: ... to: ALIAS` in a pipeline: moves an alias to a version, on record.

`when: stage:NAME` asks for the evidence of an evaluation in the same pipeline, `when:
experiment:NAME` for the decision of a running experiment, which may have yet to come; `once: true`
moves only an alias that names nothing yet; `approval: true` asks a person last, who sees what
speaks for it. What llmops.toml declares of the alias is asked for as well (registry/standing.py).
The experiment's decision itself is experiments/decide.py's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.errors import BadInput, GateRefused, Waiting
from llmops.registry.evidence import Evidence
from llmops.registry.locate import Located, locate
from llmops.registry.manifest import Manifest
from llmops.registry.promotion import check_whole
from llmops.runner.approval import Approval, ask, heard, waiting
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared, References, Stage
from llmops.spec.pipeline import PipelineStage
from llmops.stages.move_policy import experiment_of, lacks, refuse_unasked


class Promote(Stage):
    """The stage kind that moves an alias."""

    kind = "promote"

    def inputs(self, spec: PipelineStage) -> References:
        assert spec.promote is not None
        found: References = {"version": (spec.promote, ("promote",))}
        if spec.when is not None and spec.when.startswith("stage:"):
            found["evidence"] = (spec.when, ("when",))
        return found

    def moves(self, spec: PipelineStage) -> str | None:
        return spec.to

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        alias = str(node.spec.to)
        name = experiment_of(node.spec)
        if name is not None:
            from llmops.experiments.declared import find_experiment

            find_experiment(name, context.settings, _where(node, "when"))
        kept = _kept(inputs["version"], node, context)
        if kept is not None:
            return kept
        version = inputs["version"]
        manifest = None if isinstance(version, Pending) else _manifest(version, node)
        refuse_unasked(
            version.model if manifest is None else manifest.name, manifest, node, context
        )
        pending = [item for item in inputs.values() if isinstance(item, Pending)]
        if pending:
            return _pending(inputs["version"], pending, inputs["after"], alias, node.spec)
        return _move(node, inputs, alias, context)

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Located:
        version, evidence = prepared.payload
        assert version.manifest is not None
        node = attempt.node
        name = experiment_of(node.spec)
        if evidence is not None and not evidence.passed:
            raise _unpassed(version, node, evidence)
        approval = _heard(version, attempt, context)
        if name is not None:
            evidence = _decided(name, version, attempt, context)
        if node.spec.approval and approval is None:
            raise _asked(version, evidence, attempt, context)
        why = [f"stage {node.name} of {context.relative(node.declared.path)}"]
        why += [f"{evidence.summary} ({evidence.id})"] if evidence else []
        why += [approval.said] if approval else []
        check_whole(version.manifest, context.registry)
        with context.registry.alias_log.held(version.manifest.name) as held:
            missing = lacks(version.manifest, node, context)
            if missing:
                raise _refused(version, node, missing, "to")
            held.move(
                str(node.spec.to),
                version.manifest.id,
                why="; ".join(why),
                by=f"run {attempt.run}",
                evidence=[evidence.id] if evidence else [],
            )
        return version  # type: ignore[no-any-return]


def _where(node: Node, key: str) -> str:
    return node.declared.source.where(("stages", node.name, key))


def _kept(version: Any, node: Node, context: Context) -> Prepared | None:
    """`once`: the version that the alias names already, and stays at."""
    if not node.spec.once:
        return None
    name = version.model if isinstance(version, Pending) else _manifest(version, node).name
    number = context.registry.aliases(name).get(str(node.spec.to))
    if number is None:
        return None
    current = locate(f"{name}:v{number}", context.registry, context.settings.root)
    return Prepared(
        parts={"alias": f"{name}@{node.spec.to}", "version": current.id},
        found=current,
        done=True,
        summary=f"{name}@{node.spec.to} stays {current.id}",
        notes=("once: it names a version already",),
        payload=(current, None),
    )


def _pending(
    version: Any,
    pending: list[Pending],
    after: tuple[Pending, ...],
    alias: str,
    spec: PipelineStage,
) -> Prepared:
    """A move whose version or evidence is made first."""
    known = version.model if isinstance(version, Pending) else version.id
    named = f"{version.model}@{alias}" if isinstance(version, Pending) else f"{alias} -> {known}"
    names = dict.fromkeys([item.node for item in pending] + [item.node for item in after])
    return Prepared(
        parts={"alias": alias, "version": f"pending: {known}"},
        pending_on=tuple(names),
        summary=named + _condition(spec),
    )


def _condition(spec: PipelineStage) -> str:
    once = ", once (it names nothing yet)" if spec.once else ""
    agreed = ", when a person agrees" if spec.approval else ""
    return once + (f", when {spec.when} says so" if spec.when else "") + agreed


def _move(node: Node, inputs: Mapping[str, Any], alias: str, context: Context) -> Prepared:
    version, evidence = inputs["version"], inputs.get("evidence")
    manifest = _manifest(version, node)
    name = manifest.name
    if evidence is not None:
        _about(evidence, version, node)
    current = context.registry.aliases(name).get(alias)
    there = current == manifest.number
    before = f"{name}:v{current}" if current else "nothing"
    parts = {"alias": f"{name}@{alias}", "version": version.id}
    if node.spec.when is not None:
        parts["when"] = evidence.digest if evidence is not None else node.spec.when
    waits = tuple(item.node for item in inputs["after"])
    return Prepared(
        parts=parts,
        found=version if there else None,
        done=there,
        pending_on=() if there else waits,
        reasons=() if there else (f"it names {before} now",),
        summary=f"{name}@{alias} -> {version.id}{'' if there else _condition(node.spec)}",
        payload=(version, evidence),
    )


def _manifest(version: Located, node: Node) -> Manifest:
    if version.manifest is None:
        what = f"`{version.id}` is not a registered version"
        fix = "register it first: `llmops models add NAME PATH`"
        raise BadInput(what, where=_where(node, "promote"), fix=fix)
    return version.manifest


def _about(evidence: Evidence, version: Located, node: Node) -> None:
    """Evidence about one version says nothing about another."""
    if evidence.version != version.id:
        raise BadInput(
            f"the evidence of `{node.spec.when}` is about {evidence.version}, "
            f"not about {version.id}",
            where=_where(node, "when"),
            fix=f"let that stage evaluate `model: {node.spec.promote}`",
        )
    if evidence.version_digest not in (None, version.digest):
        raise BadInput(
            f"the evidence of `{node.spec.when}` was made on other bytes than {version.id} has now",
            where=_where(node, "when"),
            fix="`llmops models verify` says whether it is damaged; if not, start the run anew",
        )


def _refused(
    version: Located, node: Node, missing: Sequence[str], key: str = "when", file: str | None = None
) -> GateRefused:
    alias = node.spec.to
    return GateRefused(
        f"{version.id} does not become {alias}: {'; '.join(missing)}",
        where=_where(node, key),
        fix=f"see {file or f'`llmops models evidence {version.id}`'}; to move it all the same: "
        f"llmops models promote {version.id} {alias} --override REASON",
    )


def _unpassed(version: Located, node: Node, evidence: Evidence) -> GateRefused:
    return _refused(version, node, evidence.missing or [evidence.summary], file=evidence.file)


def _heard(version: Located, attempt: Attempt, context: Context) -> Approval | None:
    """A person's agreement; None when none is needed, or nobody has been asked yet.

    Raises Waiting while the person has not answered, GateRefused when the answer was no.
    """
    if not attempt.node.spec.approval:
        return None
    file = context.paths.run(attempt.run).approval(attempt.node.name)
    return heard(file, version.digest, _where(attempt.node, "approval"))


def _asked(
    version: Located, evidence: Evidence | None, attempt: Attempt, context: Context
) -> Waiting:
    """Ask a person, with what speaks for the version."""
    assert version.manifest is not None
    node = attempt.node
    approval = ask(
        context.paths.run(attempt.run).approval(node.name),
        attempt.run,
        node.name,
        what=f"{version.manifest.name}@{node.spec.to} -> {version.id}",
        version=version.id,
        digest=version.digest,
        evidence=f"{evidence.summary} ({evidence.id})" if evidence else "",
    )
    return waiting(approval, _where(node, "approval"))


def _decided(name: str, version: Located, attempt: Attempt, context: Context) -> Evidence:
    """The evidence of an experiment that the candidate won.

    Raises GateRefused when it lost, Waiting while it has not been decided.
    """
    from llmops.experiments.decide import decide
    from llmops.experiments.evidence import record

    node = attempt.node
    where = _where(node, "when")
    decision = decide(name, context, where)
    pair = decision.pair
    if pair is not None and version.id != pair.candidate_version:
        raise BadInput(
            f"experiment `{name}` tries {pair.candidate_version}, not {version.id}",
            where=where,
            fix=f"let its candidate be {version.id} first (a stage before this one may move the "
            "alias that it names)",
        )
    if decision.verdict == "undecided":
        raise Waiting(
            f"experiment `{name}`: {decision.why}",
            where=where,
            fix=f"see `llmops experiments show {name}`",
        )
    evidence = record(decision, context, by=f"run {attempt.run}")
    if not decision.won:
        raise _unpassed(version, node, evidence)
    return evidence
