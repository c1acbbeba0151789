"""What each variant names now: a version, nothing yet, or something that cannot be served.

Asked at the start and again whenever an alias moves. Reads only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from llmops.errors import BadInput, LlmopsError
from llmops.registry.locate import Located, locate
from llmops.registry.store import Registry
from llmops.serving.served import Served, remote, served
from llmops.spec.deployment import Deployment, LoraRank, OpenAIBackend, Variant, VllmBackend
from llmops.spec.load import Loaded
from llmops.spec.reference import Reference, parse_reference
from llmops.spec.suggest import did_you_mean


@dataclass(frozen=True)
class Resolved:
    """variants: the version of each that names one; waiting: the reference of each whose alias
    names nothing yet; problems: why a variant cannot be served."""

    variants: Mapping[str, Served] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, LlmopsError] = field(default_factory=dict)


class Resolver:
    """Looks up the variants of one deployment. An alias is looked up each time, others once."""

    def __init__(self, loaded: Loaded[Deployment], registry: Registry, root: Path) -> None:
        self._loaded = loaded
        self._registry = registry
        self._root = root
        self._known: dict[str, Served] = {}

    def resolve(self) -> Resolved:
        variants: dict[str, Served] = {}
        waiting: dict[str, str] = {}
        problems: dict[str, LlmopsError] = {}
        for name, variant in self._loaded.spec.variants.items():
            try:
                if self._is_waiting(variant):
                    waiting[name] = str(variant.model)
                else:
                    variants[name] = self._variant(name, variant)
            except LlmopsError as error:
                problems[name] = error
        return Resolved(variants, waiting, problems)

    def version(self, text: str) -> Served:
        """A version that somebody else asks for. Raises BadInput or Failed."""
        backend = self._loaded.spec.backend
        if isinstance(backend, OpenAIBackend):
            named = (one for one in self.resolve().variants.values() if one.name == text)
            return next(named, remote(text))
        found = locate(text, self._registry, self._root)
        _refuse_reward_model(found)
        one = served(found, self._registry, self._root)
        _refuse_rank(one, backend)
        return one

    def named(self, variant: str) -> str | None:
        """The name of a variant's version, as gateways log it; None for an alias that names
        nothing yet. The files of a registered version need not be here: what it answered may be
        looked at where it is not served. Raises BadInput or Failed when there is none."""
        one = self._loaded.spec.variants[variant]
        if one.model is None:
            return str(one.upstream)
        reference = parse_reference(one.model)
        if reference.scheme in ("path", "hub"):
            return self._variant(variant, one).name
        aliases = self._registry.aliases(reference.target)
        if reference.scheme == "alias" and reference.part not in aliases:
            return None
        return str(self._registry.resolve(one.model).id)

    def models(self) -> set[str]:
        """The models whose aliases the variants follow."""
        references = (_alias(variant) for variant in self._loaded.spec.variants.values())
        return {reference.target for reference in references if reference is not None}

    def hint(self, variant: str) -> str:
        """What an alias that names nothing yet may have been meant for."""
        reference = _alias(self._loaded.spec.variants[variant])
        if reference is None:
            return ""
        return did_you_mean(reference.part, self._registry.aliases(reference.target), listing=0)

    def _is_waiting(self, variant: Variant) -> bool:
        """Whether it is an alias that is not there yet, of a model that is."""
        reference = _alias(variant)
        return (
            reference is not None
            and reference.part not in self._registry.aliases(reference.target)
            and self._registry.has(reference.target)
        )

    def _variant(self, name: str, variant: Variant) -> Served:
        key = ("variants", name, "model")
        text = str(variant.model)
        try:
            if isinstance(self._loaded.spec.backend, OpenAIBackend):
                return self._remote(variant)
            if text not in self._known or _alias(variant) is not None:
                found = locate(text, self._registry, self._root, self._loaded.path)
                _refuse_reward_model(found)
                one = served(found, self._registry, self._root)
                _refuse_rank(one, self._loaded.spec.backend)
                self._known[text] = one
            return self._known[text]
        except LlmopsError as error:
            place = self._loaded.source.where(key)
            where = f"{place} ({error.where})" if error.where else place
            raise type(error)(error.what, where=where, fix=error.fix) from error

    def _remote(self, variant: Variant) -> Served:
        """A version of the registry, or the name of a model that the server has anyhow."""
        if variant.model is None:
            return remote(str(variant.upstream))
        version = str(self._registry.resolve(variant.model).id)
        return remote(version, variant.upstream or "")


def _alias(variant: Variant) -> Reference | None:
    try:
        reference = parse_reference(variant.model or "")
    except ValueError:
        return None
    return reference if reference.scheme == "alias" else None


def _refuse_reward_model(one: Located) -> None:
    """vLLM would load one, leave its value head aside, and let the rest babble."""
    if one.manifest is not None and one.manifest.stage == "rm":
        raise BadInput(
            f"{one.id} is a reward model: it gives scores, not answers",
            fix="name a version made by another stage",
        )


def _refuse_rank(one: Served, backend: VllmBackend) -> None:
    limit = backend.lora.max_rank
    if one.rank is None or one.rank <= limit:
        return
    fits = [rank for rank in get_args(LoraRank) if rank >= one.rank]
    raise BadInput(
        f"{one.name} has rank {one.rank}, above backend.lora.max_rank {limit}",
        fix=f"set backend.lora.max_rank: {fits[0]}" if fits else "compress the adapter",
    )
