"""`kind: evaluate`: a version asked by suites, through the serving path, and what a gate makes of
it: a piece of evidence, kept with the version.

Whether the gate passes does not fail this stage; what acts on the evidence (promote.py) does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.engines.contract import Progress
from llmops.evaluation.requirements import abilities, refuse_unmeasured
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.locate import Located, locate
from llmops.registry.manifest import VersionId
from llmops.runner.fingerprint import fingerprint
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared, References, Stage
from llmops.spec.deployment import Deployment, VllmBackend
from llmops.spec.evaluation import EvaluateRecipe
from llmops.spec.load import Loaded, load_data, load_deployment
from llmops.stages.evidenced import Asking, ServedWith, find_evidence, why_not
from llmops.stages.history import planning_environment

if TYPE_CHECKING:
    from llmops.evaluation.items import Asked
    from llmops.evaluation.report import Record
    from llmops.serving.servers import Answering


@dataclass(frozen=True)
class _Payload:
    """What executing needs beyond what planning shows."""

    through: Path
    asking: Asking


class Evaluate(Stage):
    """The stage kind of evaluations."""

    kind = "evaluate"

    def inputs(self, spec: EvaluateRecipe) -> References:
        found: References = {"model": (spec.model, ("model",))}
        if spec.baseline is not None:
            found["baseline"] = (spec.baseline, ("baseline",))
        return found

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        recipe: EvaluateRecipe = node.spec
        model, baseline = inputs["model"], inputs.get("baseline")
        for key, one in (("model", model), ("baseline", baseline)):
            _refuse_unregistered(one, key, node)
        suites = _suites(node, context)
        refuse_unmeasured(node.declared, suites)
        through, served_with = _backend(node, context)
        asking = Asking(recipe, model, baseline, suites, served_with)
        parts = asking.parts
        pending = tuple(one.node for one in (model, baseline) if isinstance(one, Pending))
        found = None if pending else find_evidence(parts, model, context)
        notes = _outcome(found) if found else abilities(node.declared, suites, context.abilities)
        return Prepared(
            parts=parts,
            output=Pending(node.name, "evidence", _name(model)),
            found=found,
            pending_on=tuple(dict.fromkeys(pending)),
            done=found is not None,
            reasons=() if found else why_not(asking, node, _name(model), context),
            summary=_summary(recipe, suites),
            notes=tuple(notes),
            payload=_Payload(through, asking),
        )

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Evidence:
        from llmops.evaluation.report import REPORT, write
        from llmops.store.digest import sha256_file

        payload: _Payload = prepared.payload
        model = payload.asking.model
        assert isinstance(model, Located)
        mark = fingerprint(prepared.parts)[:16]
        record = _asked(payload, attempt, context, mark)
        version = VersionId.parse(model.id)
        stamp = record.time.replace(":", "").replace("-", "").partition("+")[0]
        folder = context.paths.evaluation(version.name, version.number, f"{stamp}-{mark}")
        write(record, folder)
        evidence = Evidence(
            id=record.id,
            time=record.time,
            kind="evaluation",
            version=record.version,
            version_digest=record.version_digest,
            against=record.against,
            passed=record.passed,
            summary=record.summary,
            missing=record.missing,
            file=context.relative(folder / REPORT),
            digest=sha256_file(folder / REPORT),
            by=f"run {attempt.run}",
            recipe=context.relative(attempt.node.declared.path),
            stage=attempt.node.name,
            made_of=payload.asking.told,
        )
        EvidenceLog(context.paths).add(evidence)
        for note in _outcome(evidence):
            attempt.report(Progress("judged", warning=note))
        return evidence


def evaluate_now(
    recipe: Mapping[str, Any], context: Context, report: Callable[[Progress], None]
) -> Evidence:
    """What a recipe would make that nobody wrote: the evidence, reused if there is any.

    recipe: as in a file, with references to versions that exist; paths are relative to the working
    directory. Raises BadInput and Failed as the stage does.
    """
    given = {key: value for key, value in recipe.items() if value}
    declared = load_data(given, EvaluateRecipe, Path.cwd() / "llmops eval run")
    root, node = context.settings.root, Node("eval", "evaluate", declared, declared.spec)
    inputs: dict[str, Any] = {
        name: locate(text, context.registry, root, declared.path, f"--{name}")
        for name, (text, _) in Evaluate().inputs(declared.spec).items()
    }
    prepared = Evaluate().prepare(node, inputs, context)
    if prepared.found is not None:
        found = prepared.found
        assert isinstance(found, Evidence)
        return found
    paths = context.paths.run("by-hand").attempt("eval", 1)
    attempt = Attempt("by hand", node, 1, paths, report)
    try:
        return Evaluate().execute(prepared, attempt, context)
    finally:
        context.close()
        context.remember()


def _asked(payload: _Payload, attempt: Attempt, context: Context, mark: str) -> "Record":
    """Ask the version, and the baseline, all the suites."""
    from llmops.evaluation.gate import judged
    from llmops.evaluation.measure import Session, Subject
    from llmops.evaluation.report import Record

    asking = payload.asking
    recipe, model, baseline = asking.recipe, asking.model, asking.baseline
    assert isinstance(model, Located)
    assert not isinstance(baseline, Pending)
    wanted = [one for one in (model, baseline) if one is not None]

    def report(what: str, done: int, total: int) -> None:
        attempt.report(Progress(f"asking {what}", step=done, total=total))

    def subject(one: Located, answering: "Answering") -> Subject:
        return Subject(one.id, one.digest, one.base_digest, answering, asking.served_with.mark)

    names = list(dict.fromkeys(one.id for one in wanted))
    with context.servers.answering(payload.through, names, attempt.report) as answering:
        session = Session(
            version=subject(model, answering[model.id]),
            baseline=None if baseline is None else subject(baseline, answering[baseline.id]),
            sampling=recipe.sampling,
            confidence=recipe.confidence,
            paths=context.paths,
            report=report,
        )
        results = [session.measure(asked) for asked in asking.suites]
        backend = answering[model.id].backend
    measured = [one for result in results for one in result.measured]
    return Record(
        id=f"evidence:{model.id}/{attempt.node.name}-{mark}",
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        version=model.id,
        version_digest=model.digest,
        against=None if baseline is None else baseline.id,
        backend=backend,
        sampling=recipe.sampling.model_dump(),
        confidence=recipe.confidence,
        results=results,
        verdicts=judged(recipe.gate, measured, recipe.confidence),
    )


def _refuse_unregistered(one: Located | Pending | None, key: str, node: Node) -> None:
    """Evidence is kept with a version of the registry, and the server knows it by that name."""
    if isinstance(one, Located) and one.manifest is None:
        raise node.declared.bad(
            f"`{one.id}` is not a registered version",
            (key,),
            fix="register it first: `llmops models add NAME PATH`",
        )


def _suites(node: Node, context: Context) -> tuple["Asked", ...]:
    from llmops.evaluation.items import read_suite

    found: dict[str, Asked] = {}
    for position, text in enumerate(node.spec.suites):
        path = node.declared.file(text, ("suites", position), context.settings.root)
        asked = read_suite(path, context.settings.root)
        name = asked.suite.name
        if name in found:
            raise node.declared.bad(
                f"two suites are called `{name}`",
                ("suites", position),
                fix="leave one out, or give it another `name:`",
            )
        found[name] = asked
    return tuple(found.values())


def _backend(node: Node, context: Context) -> tuple[Path, ServedWith]:
    """The deployment's file, and its backend as far as it decides the answers."""
    path = node.declared.file(node.spec.through, ("through",), context.settings.root)
    deployment: Loaded[Deployment] = load_deployment(path)
    backend = deployment.spec.backend
    if isinstance(backend, VllmBackend):
        version = planning_environment("vllm", context)[1]
        return path, ServedWith(f"vllm {version}", backend.args)
    return path, ServedWith(f"openai {backend.url}")


def _outcome(evidence: Evidence | None) -> list[str]:
    """What a gate made of evidence; nothing where there is none, or no gate."""
    if evidence is None or evidence.passed or not evidence.asks:
        return []
    return [f"the gate refuses: {words}" for words in evidence.missing]


def _name(model: Located | Pending) -> str:
    return model.model if isinstance(model, Pending) else VersionId.parse(model.id).name


def _summary(recipe: EvaluateRecipe, suites: tuple["Asked", ...]) -> str:
    asked = ", ".join(f"{one.suite.name} ({len(one.items):,} items)" for one in suites)
    gate = f"{len(recipe.gate)} requirements" if recipe.gate else "no gate"
    return f"asks {asked} through {recipe.through}, {gate}"
