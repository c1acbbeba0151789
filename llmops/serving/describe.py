"""A serving plan as plain values: what `llmops serve DEPLOYMENT --plan` prints."""

from typing import Any

from llmops.serving.backends import vllm
from llmops.serving.plan import ServingPlan

_SLEEP = "recipes with `while_serving: sleep`: "
_STOP = (
    "recipes with `while_serving: stop`: the servers end while such a stage runs, the gateway "
    "answers 503 with Retry-After, and they are started again after it"
)


def describe(plan: ServingPlan) -> dict[str, Any]:
    """variants: with the version of each, or what it waits for; bases: each takes a server of its
    own; while_serving: what the declarations of recipes would do to it; keys: whether clients
    need one."""
    listen = plan.listen
    port = listen.port or "(free)"
    where = f"unix:{listen.uds}" if listen.uds else f"http://{listen.host}:{port}"
    return {
        "deployment": plan.name,
        "backend": plan.server,
        "base": ", ".join(load.base.name for load in plan.loads),
        "bases": [
            {"base": load.base.name, "adapters": [one.name for one in load.adapters]}
            for load in plan.loads
        ],
        "listen": where,
        "keys": not listen.is_private,
        "unit": list(plan.loaded.spec.traffic.unit),
        "log": plan.loaded.spec.feedback.log,
        "variants": [_variant(plan, name) for name in plan.loaded.spec.variants],
        "wanted": [one.name for one in plan.wanted],
        "while_serving": _while_serving(plan),
        "warnings": list(plan.warnings),
    }


def _variant(plan: ServingPlan, name: str) -> dict[str, Any]:
    weights = plan.loaded.spec.traffic.weights
    version = plan.resolved.variants.get(name)
    total = sum(weights.get(one, 0) if weights else 1 for one in plan.variants)
    weight = weights.get(name, 0.0) if weights else 1.0
    return {
        "variant": name,
        "version": version.name if version else None,
        "waits_for": plan.resolved.waiting.get(name),
        "kind": version.kind if version else None,
        "base": version.root.name if version and version.kind != "remote" else None,
        "weight": weight,
        "share": weight / total if version and total else 0.0,
        "golden_prompts": len(version.golden) if version else 0,
    }


def _while_serving(plan: ServingPlan) -> list[str]:
    if plan.environment is None:
        return ["the server is not of this project: no recipe stops it or lets it sleep"]
    problem = plan.sleep_problem
    sleeps = f"refused: {problem}" if problem else "vLLM gives the memory back until it is over"
    device = "the CPU" if vllm.is_cpu(plan.environment) else "the GPU"
    share = f"recipes with `while_serving: share` run beside it, on {device} that it uses"
    told = [share, _STOP, _SLEEP + sleeps]
    if len(plan.loads) > 1:
        told.append(f"{len(plan.loads)} bases: a server each, if memory allows")
    return told
