"""What decides the evidence of an evaluation, the evidence that there is of it, and what changed
since the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.locate import Located
from llmops.registry.manifest import VersionId
from llmops.runner.fingerprint import changes, fingerprint
from llmops.runner.stage import Context, Node, Pending
from llmops.spec.evaluation import EvaluateRecipe
from llmops.store.digest import sha256_json
from llmops.store.facts import flatten

if TYPE_CHECKING:
    from llmops.evaluation.items import Asked


@dataclass(frozen=True)
class ServedWith:
    """What answers, as far as it decides the answers: its name with its version, its options."""

    name: str
    args: Mapping[str, Any] | None = None

    @property
    def mark(self) -> str:
        return self.name if self.args is None else f"{self.name} {sha256_json(self.args)[:12]}"


@dataclass(frozen=True)
class Asking:
    """Who is asked what, through what, and what is asked of the answers."""

    recipe: EvaluateRecipe
    model: Located | Pending
    baseline: Located | Pending | None
    suites: Sequence["Asked"]
    served_with: ServedWith

    @property
    def parts(self) -> dict[str, str]:
        """What the fingerprint covers: all that decides the evidence."""
        parts = {
            "stage": "evaluate",
            "model": _digest(self.model),
            "backend": self.served_with.mark,
            "sampling": sha256_json(self.recipe.sampling.model_dump()),
            "confidence": str(self.recipe.confidence),
            "gate": sha256_json([asks.model_dump() for asks in self.recipe.gate]),
        }
        if self.baseline is not None:
            parts["baseline"] = _digest(self.baseline)
        for asked in self.suites:
            parts[f"suites.{asked.suite.name}"] = asked.digest
        return parts

    @property
    def told(self) -> dict[str, str]:
        """The same by the keys and values that people gave, for the next plan to compare."""
        said = {
            "sampling": self.recipe.sampling.model_dump(),
            "confidence": self.recipe.confidence,
            "gate": [asks.model_dump(exclude_none=True) for asks in self.recipe.gate],
            "backend": {"args": dict(self.served_with.args or {})},
        }
        told = {key: str(value) for key, value in flatten(said).items()}
        told |= {"model": _called(self.model), "backend": self.served_with.name}
        if self.baseline is not None:
            told["baseline"] = _called(self.baseline)
        for asked in self.suites:
            told[f"suites.{asked.suite.name}"] = f"{len(asked.items):,} items {asked.digest[:12]}"
        return told


def find_evidence(parts: Mapping[str, str], model: Located, context: Context) -> Evidence | None:
    """The newest evidence of the same fingerprint whose report is still there."""
    mark = f"-{fingerprint(parts)[:16]}"
    known = EvidenceLog(context.paths).of(VersionId.parse(model.id).name, model.id)
    for evidence in reversed(known):
        if evidence.kind == "evaluation" and evidence.id.endswith(mark) and evidence.file:
            return evidence if (context.settings.root / evidence.file).is_file() else None
    return None


def why_not(asking: Asking, node: Node, model: str, context: Context) -> tuple[str, ...]:
    """What changed since the last evidence of the same stage; model: the name of what it is
    about."""
    mine = context.relative(node.declared.path), node.name
    known = reversed(EvidenceLog(context.paths).of(model))
    earlier = next((one for one in known if one.made_of and (one.recipe, one.stage) == mine), None)
    if earlier is None:
        return ("never run",)
    found = changes(earlier.made_of, asking.told)
    pending = isinstance(asking.model, Pending) or isinstance(asking.baseline, Pending)
    return found if found or pending else (f"its report {earlier.file} is gone",)


def _digest(one: Located | Pending) -> str:
    """The version's own name is part of it: evidence is about a version, not about bytes."""
    if isinstance(one, Pending):
        return f"pending: {one.node}"
    return f"{one.id} {one.digest} {one.base_digest or ''}".rstrip()


def _called(one: Located | Pending) -> str:
    return f"pending: {one.node}" if isinstance(one, Pending) else one.id
