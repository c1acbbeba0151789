"""Whether a backend is ready: it is healthy, each version answers, and each is what was registered.

Asked after every start, also after a crash.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmops.serving import golden
from llmops.serving.backends import vllm
from llmops.serving.endpoint import Endpoint, get, post
from llmops.serving.plan import Served, ServingPlan

if TYPE_CHECKING:
    import httpx

Report = Callable[[str], None]


def is_healthy(endpoint: Endpoint, client: "httpx.Client") -> bool:
    """Whether it answers now that it is; never raises because it does not."""
    import httpx

    # httpx leaves a socket open when it cannot connect, and this is asked many times.
    if not endpoint.listens():
        return False
    try:
        return client.get("/health", timeout=2.0).status_code == 200
    except httpx.TransportError:
        return False


def check_versions(client: "httpx.Client", plan: ServingPlan, report: Report) -> None:
    """Warm each version up, so that no user waits for it, and compare its golden prompts.

    Raises Failed at the first that does not answer or does not match.
    """
    listed = get(client, "/v1/models")["data"]
    lengths = {model["id"]: model.get("max_model_len") for model in listed}
    for served in plan.versions:
        post(
            client,
            "/v1/completions",
            {"model": served.name, "prompt": "a", "max_tokens": 1, "temperature": 0},
        )
        _compare(client, plan, served, lengths.get(plan.base.name), report)


def _compare(
    client: "httpx.Client", plan: ServingPlan, served: Served, length: int | None, report: Report
) -> None:
    variants = plan.variants_of(served.name)
    compared = golden.check(
        client,
        served.name,
        served.golden,
        base=plan.base.name if served.kind == "adapter" else None,
        dtype=golden.coarser(vllm.dtype(plan), served.dtype or plan.base.dtype),
        max_model_len=length,
        variants=variants,
    )
    if not compared.prompts:
        return
    named = f"{served.name} ({', '.join(variants) or 'base'})"
    report(
        f"checked {named}: {compared.prompts} golden prompts, log-probabilities "
        f"within {compared.difference:.1e}"
    )
    if not compared.distinct:
        report(f"warning: no golden prompt tells {named} from its base")
