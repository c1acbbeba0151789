"""What a deployment serves: versions pinned, the one base derived, the options checked.

Pure: reads the declaration, the registry and the backend's source, and starts nothing.
`llmops serve DEPLOYMENT --plan` prints it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.engines.contract import Environment
from llmops.errors import BadInput, LlmopsError
from llmops.registry.locate import Located, locate, locate_base
from llmops.registry.manifest import Golden
from llmops.registry.store import Registry
from llmops.serving.backends.options import options
from llmops.spec.deployment import Deployment, VllmBackend
from llmops.spec.load import Loaded
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean

# Options of vLLM that follow from the deployment, each with the key that decides it.
OWNED = {
    "model": "variants",
    "tokenizer": "variants",
    "served_model_name": "variants",
    "lora_modules": "variants",
    "enable_lora": "variants",
    "max_loras": "backend.lora.slots",
    "max_cpu_loras": "backend.lora.slots",
    "max_lora_rank": "backend.lora.max_rank",
    "host": "listen",
    "port": "listen.port",
    "uds": "listen.uds",
    "config": "backend.args",
    "headless": "backend",
    "api_server_count": "backend",
    "grpc": "listen",
}


@dataclass(frozen=True)
class Served:
    """One version as the server knows it. name: `model` in a request; directory: of its files;
    files: sha256 by name, to verify a copy by (None: a directory that is not registered);
    rank: of an adapter."""

    name: str
    kind: str
    directory: Path
    digest: str
    files: Mapping[str, str] | None
    golden: tuple[Golden, ...]
    dtype: str | None
    rank: int | None = None


@dataclass(frozen=True)
class ServingPlan:
    """variants: the version that answers for each; base: the one model that is loaded;
    adapters: what is loaded onto it; args: vLLM's options as the user gave them."""

    name: str
    file: Path
    variants: Mapping[str, str]
    base: Served
    adapters: tuple[Served, ...]
    slots: int
    max_rank: int
    port: int
    uds: Path | None
    args: Mapping[str, Any]
    environment: Environment
    warnings: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[Served, ...]:
        """Everything that answers: the base, then the adapters."""
        return (self.base, *self.adapters)

    def variants_of(self, version: str) -> list[str]:
        return [variant for variant, served in self.variants.items() if served == version]


def plan_serving(
    loaded: Loaded[Deployment], registry: Registry, root: Path, environment: Environment
) -> ServingPlan:
    """Raises BadInput, by key and line, when the deployment cannot be served as it is."""
    spec = loaded.spec
    backend = _vllm(loaded)
    _check_args(loaded, environment)
    located = {
        name: _locate(str(variant.model), loaded, registry, root, ("variants", name, "model"))
        for name, variant in spec.variants.items()
    }
    _refuse_reward_models(loaded, located)
    base = _base(loaded, located, registry, root)
    adapters = {one.id: _served(one) for one in located.values() if one.kind == "adapter"}
    _check_adapters(loaded, located, adapters)
    uds = spec.listen.uds
    return ServingPlan(
        name=spec.name,
        file=loaded.path,
        variants={name: one.id for name, one in located.items()},
        base=_served(base),
        adapters=tuple(adapters.values()),
        slots=backend.lora.slots,
        max_rank=backend.lora.max_rank,
        port=spec.listen.port,
        uds=(root / uds).absolute() if uds else None,
        args=backend.args,
        environment=environment,
        warnings=tuple(_warnings(base, located.values())),
    )


def describe(plan: ServingPlan) -> dict[str, Any]:
    """The plan as plain values, for printing."""
    rows = [
        {
            "variant": variant,
            "version": version,
            "kind": "adapter" if version != plan.base.name else "full",
            "golden_prompts": sum(len(s.golden) for s in plan.versions if s.name == version),
        }
        for variant, version in plan.variants.items()
    ]
    return {
        "deployment": plan.name,
        "backend": f"vllm {plan.environment.version}",
        "base": plan.base.name,
        "listen": f"unix:{plan.uds}" if plan.uds else f"http://127.0.0.1:{plan.port or '(free)'}",
        "variants": rows,
        "warnings": list(plan.warnings),
    }


def _vllm(loaded: Loaded[Deployment]) -> VllmBackend:
    backend = loaded.spec.backend
    if not isinstance(backend, VllmBackend):
        raise loaded.bad("this backend is a server that exists; nothing to start", ("backend",))
    return backend


def _locate(
    text: str, loaded: Loaded[Deployment], registry: Registry, root: Path, key: tuple[str, ...]
) -> Located:
    try:
        return locate(text, registry, root, loaded.path)
    except LlmopsError as error:
        place = loaded.source.where(key)
        where = f"{place} ({error.where})" if error.where else place
        raise type(error)(error.what, where=where, fix=error.fix) from error


def _refuse_reward_models(loaded: Loaded[Deployment], located: Mapping[str, Located]) -> None:
    """vLLM would load one, leave its value head aside, and let the rest babble."""
    for name, one in located.items():
        if one.manifest is not None and one.manifest.stage == "rm":
            raise loaded.bad(
                f"{one.id} is a reward model: it gives scores, not answers",
                ("variants", name, "model"),
                fix="name a version made by another stage",
            )


def _base(
    loaded: Loaded[Deployment], located: Mapping[str, Located], registry: Registry, root: Path
) -> Located:
    """The one full model that all the variants are, or stand on, the very same by its digest."""
    bases = {
        name: (one.base or one.id, one.base_digest or one.digest) for name, one in located.items()
    }
    digests = {digest for _, digest in bases.values()}
    if len(digests) > 1:
        listed = ", ".join(
            f"`{name}` ({located[name].id}) on {base}" for name, (base, _) in bases.items()
        )
        raise loaded.bad(
            f"the variants stand on different bases: {listed}",
            ("variants",),
            fix="one vLLM server holds one base with adapters on it; serve the others by a "
            "deployment of their own",
        )
    for one in located.values():
        if one.kind == "full":
            return one
    first, (base, _) = next(iter(bases.items()))
    return _located_base(base, loaded, registry, root, ("variants", first, "model"))


def _located_base(
    text: str, loaded: Loaded[Deployment], registry: Registry, root: Path, key: tuple[str, ...]
) -> Located:
    try:
        return locate_base(text, registry, root)
    except BadInput as error:
        raise loaded.bad(f"its base {text} cannot be served: {error.what}", key) from error


def _served(one: Located) -> Served:
    manifest = one.manifest
    directory = one.files.directory if one.kind == "full" else one.files.adapter
    assert directory is not None
    return Served(
        name=one.id,
        kind=one.kind,
        directory=directory,
        digest=one.digest,
        files=manifest.files if manifest else None,
        golden=tuple(manifest.golden) if manifest else (),
        dtype=manifest.dtype if manifest else None,
        rank=_rank(one, directory),
    )


def _rank(one: Located, directory: Path) -> int | None:
    if one.kind == "full":
        return None
    if one.manifest is not None and one.manifest.lora_rank is not None:
        return one.manifest.lora_rank
    from llmops.registry.adapters import read_adapter

    return read_adapter(directory).rank


def _check_args(loaded: Loaded[Deployment], environment: Environment) -> None:
    known = options(environment.site)
    for given in _vllm(loaded).args:
        key = ("backend", "args", given)
        name = given.replace("-", "_").removeprefix("no_")
        if name in OWNED:
            raise loaded.bad(
                f"`{given}` is decided by llmops", key, fix=f"set it through `{OWNED[name]}`"
            )
        if known is not None and name not in known:
            raise loaded.bad(
                f"vLLM {environment.version} has no option `{given}`",
                key,
                fix=did_you_mean(name, known - set(OWNED)),
            )


def _check_adapters(
    loaded: Loaded[Deployment], located: Mapping[str, Located], adapters: Mapping[str, Served]
) -> None:
    lora = _vllm(loaded).lora
    for variant, one in located.items():
        rank = adapters[one.id].rank if one.id in adapters else None
        if rank is not None and rank > lora.max_rank:
            fits = [r for r in (1, 8, 16, 32, 64, 128, 256, 320, 512) if r >= rank]
            fix = f"set backend.lora.max_rank: {fits[0]}" if fits else "compress the adapter"
            raise loaded.bad(
                f"{one.id} has rank {rank}, above backend.lora.max_rank {lora.max_rank}",
                ("variants", variant, "model"),
                fix=fix,
            )
    if len(adapters) > lora.slots:
        raise loaded.bad(
            f"{len(adapters)} adapters need as many slots, and backend.lora.slots is {lora.slots}",
            ("backend", "lora", "slots"),
            fix=f"set backend.lora.slots: {len(adapters) + 2}",
        )


def _warnings(base: Located, variants: Any) -> list[str]:
    seen = {one.id: one for one in (base, *variants)}
    return [
        f"{one.id} has no golden prompts, so what is served cannot be compared with training"
        + (f" ({display(one.files.directory)})" if one.manifest is None else "")
        for one in seen.values()
        if one.manifest is None or not one.manifest.golden
    ]
