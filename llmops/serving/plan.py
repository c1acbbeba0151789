"""What a deployment serves: versions pinned, their bases derived, the options checked.

Pure: reads the declaration, the registry and the backend's source, and starts nothing.
`llmops serve DEPLOYMENT --plan` prints it (describe.py).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from llmops.engines.contract import Environment
from llmops.errors import LlmopsError
from llmops.registry.store import Registry
from llmops.serving.backends import vllm
from llmops.serving.backends.options import options
from llmops.serving.listen import Place
from llmops.serving.resolve import Resolved, Resolver
from llmops.serving.served import Load, Served, loads_of
from llmops.spec.deployment import Deployment, OpenAIBackend, VllmBackend
from llmops.spec.load import Loaded
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths

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
class ServingPlan:
    """resolved: what the variants name now; wanted: versions that others ask for besides;
    listen: where the gateway answers; environment: vLLM's, unless the backend is a server that
    exists."""

    loaded: Loaded[Deployment]
    resolved: Resolved
    listen: Place
    environment: Environment | None
    wanted: tuple[Served, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        return self.loaded.spec.name

    @property
    def file(self) -> Path:
        return self.loaded.path

    @property
    def variants(self) -> Mapping[str, str]:
        """The version that answers for each variant."""
        return {name: one.name for name, one in self.resolved.variants.items()}

    @property
    def loads(self) -> tuple[Load, ...]:
        """What the vLLM processes hold, one to each base; none for an openai backend."""
        if self.environment is None:
            return ()
        return loads_of([*self.resolved.variants.values(), *self.wanted])

    @property
    def versions(self) -> tuple[Served, ...]:
        """Everything that vLLM answers for: each base, then its adapters."""
        return tuple(version for load in self.loads for version in load.versions)

    @property
    def server(self) -> str:
        """What answers, with its version."""
        backend = self.loaded.spec.backend
        if isinstance(backend, OpenAIBackend):
            return f"openai {backend.url}"
        return f"vllm {self.environment.version}" if self.environment else "vllm"

    @cached_property
    def sleep_problem(self) -> str:
        """Why its backend cannot sleep while something else uses the device; empty when it can."""
        backend = self.loaded.spec.backend
        if isinstance(backend, OpenAIBackend) or self.environment is None:
            return "its backend is not ours"
        if vllm.is_cpu(self.environment):
            return "vLLM can sleep on a GPU only"
        if not backend.options.get("enable_sleep_mode"):
            return "vLLM was started without sleep mode (backend.args.enable_sleep_mode: true)"
        return ""


def plan_serving(
    loaded: Loaded[Deployment],
    registry: Registry,
    root: Path,
    environment: Environment | None,
    wanted: Sequence[str] = (),
) -> ServingPlan:
    """wanted: versions that are served besides the variants, or in place of them while none names
    anything. Raises BadInput, by key and line, when the deployment cannot be served as it is."""
    spec = loaded.spec
    if environment is not None:
        check_args(loaded, environment)
    resolver = Resolver(loaded, registry, root)
    resolved = resolver.resolve()
    for problem in resolved.problems.values():
        raise problem
    besides, refused = _besides(wanted, resolver)
    if not resolved.variants and not besides:
        raise refused or _nothing(loaded, resolved, resolver)
    plan = ServingPlan(
        loaded=loaded,
        resolved=resolved,
        listen=Place.of(spec.listen, root),
        environment=environment,
        wanted=besides,
    )
    _check_slots(plan)
    _check_keys(plan, root)
    return ServingPlan(
        loaded, resolved, plan.listen, environment, besides, tuple(_warnings(plan, resolver))
    )


def _besides(
    wanted: Sequence[str], resolver: Resolver
) -> tuple[tuple[Served, ...], LlmopsError | None]:
    """What others want and can have. What they cannot have does not keep the deployment from
    being served; whoever asked is told by its supervisor."""
    found: list[Served] = []
    problem: LlmopsError | None = None
    for text in wanted:
        try:
            found.append(resolver.version(text))
        except LlmopsError as error:
            problem = error
    return tuple(found), problem


def vllm_of(loaded: Loaded[Deployment]) -> VllmBackend:
    backend = loaded.spec.backend
    assert isinstance(backend, VllmBackend), "this backend is a server that exists"
    return backend


def check_args(loaded: Loaded[Deployment], environment: Environment) -> None:
    """Raises BadInput for an option that vLLM lacks, or that llmops decides."""
    known = options(environment.site)
    for given in vllm_of(loaded).args:
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


def _nothing(loaded: Loaded[Deployment], resolved: Resolved, resolver: Resolver) -> Exception:
    listed = ", ".join(f"`{name}` ({text})" for name, text in resolved.waiting.items())
    first = next(iter(resolved.waiting))
    return loaded.bad(
        f"nothing can be served yet: the aliases of all variants name nothing: {listed}",
        ("variants",),
        fix=resolver.hint(first) or "run the pipeline that moves them, or `llmops models promote`",
    )


def _check_slots(plan: ServingPlan) -> None:
    if isinstance(plan.loaded.spec.backend, OpenAIBackend):
        return
    slots = plan.loaded.spec.backend.lora.slots
    adapters = {one.name for one in plan.resolved.variants.values() if one.base is not None}
    if len(adapters) > slots:
        raise plan.loaded.bad(
            f"{len(adapters)} adapters need as many slots, and backend.lora.slots is {slots}",
            ("backend", "lora", "slots"),
            fix=f"set backend.lora.slots: {len(adapters) + 2}",
        )


def _check_keys(plan: ServingPlan, root: Path) -> None:
    """Nobody could ask a gateway that wants a key while there is none; and one that passes on
    requests needs its own key for that."""
    from llmops.feedback.keys import list_keys

    backend = plan.loaded.spec.backend
    key = backend.key_env if isinstance(backend, OpenAIBackend) else None
    if key and not os.environ.get(key):
        raise plan.loaded.bad(
            f"the environment variable {key} is not set",
            ("backend", "key_env"),
            fix="set it to the key of the backend",
        )
    if plan.listen.is_private:
        return
    keys = list_keys(ProjectPaths(root))
    if not any(key.allows("chat") for key in keys):
        raise plan.loaded.bad(
            f"{plan.listen.host} can be reached from other machines, and there is no API key",
            ("listen", "host"),
            fix="make one: `llmops keys create NAME --scope chat`; or listen on 127.0.0.1",
        )


def _warnings(plan: ServingPlan, resolver: Resolver) -> list[str]:
    found = [
        f"{one.name} has no golden prompts, so what is served cannot be compared with training"
        + (f" ({display(one.directory)})" if one.files is None else "")
        for one in plan.versions
        if not one.golden
    ]
    for variant, text in plan.resolved.waiting.items():
        hint = resolver.hint(variant)
        found.append(
            f"variant {variant} waits for {text}, which names nothing yet; it gets no traffic "
            f"until then{f' ({hint})' if hint else ''}"
        )
    weights = plan.loaded.spec.traffic.weights
    if weights and plan.variants and not any(weights.get(name, 0) for name in plan.variants):
        found.append("the variants that name a version have no weight: nobody is answered yet")
    return found + _slots(plan)


def _slots(plan: ServingPlan) -> list[str]:
    backend = plan.loaded.spec.backend
    moving = len(plan.loaded.spec.variants) + 2
    if isinstance(backend, OpenAIBackend) or backend.lora.slots >= moving:
        return []
    return [
        f"backend.lora.slots is {backend.lora.slots}: while a variant moves, requests to the old "
        f"and the new adapter may wait for each other; {moving} keep them apart"
    ]
