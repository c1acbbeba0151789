"""Whether a backend is ready: it is healthy, each version answers, and each is what was registered.

Asked after every start, also after a crash, and for each version that is loaded later.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from llmops.serving import golden
from llmops.serving.endpoint import Endpoint, get, order, post
from llmops.serving.served import Served

if TYPE_CHECKING:
    import httpx

Report = Callable[[str], None]
Health = Literal["well", "dead", "silent"]

_UNDER_WAY = re.compile(r"^vllm:num_requests_(?:running|waiting)(?:\{[^}]*\})? ([0-9.e+]+)$", re.M)
_ADAPTERS = re.compile(
    r'^vllm:lora_requests_info\{[^}]*running_lora_adapters="([^"]*)"[^}]*'
    r'waiting_lora_adapters="([^"]*)"[^}]*\} ([0-9.e+]+)$',
    re.M,
)


def health(endpoint: Endpoint, client: "httpx.Client", timeout: float = 2.0) -> Health:
    """What a server says of itself: `dead` when its engine has ended though it has not, `silent`
    when it says nothing. timeout: seconds."""
    import httpx

    # httpx leaves a socket open when it cannot connect, and this is asked many times.
    if not endpoint.listens():
        return "silent"
    try:
        status = client.get("/health", timeout=timeout).status_code
    except httpx.TransportError:
        return "silent"
    return "well" if status == 200 else "dead" if status == 503 else "silent"


def context_length(client: "httpx.Client") -> int | None:
    """The longest prompt and answer together, in tokens."""
    listed = get(client, "/v1/models")["data"]
    return next((model.get("max_model_len") for model in listed), None)


def check_version(
    client: "httpx.Client",
    served: Served,
    *,
    dtype: str | None,
    length: int | None,
    variants: Sequence[str],
    report: Report,
) -> None:
    """Warm a version up, so that no user waits for it, and compare its golden prompts.

    dtype: what the server computes in; length: its context; variants: which name the version.
    Raises Failed when it does not answer or does not match.
    """
    post(
        client,
        "/v1/completions",
        {"model": served.model, "prompt": "a", "max_tokens": 1, "temperature": 0},
    )
    compared = golden.check(
        client,
        served.name,
        served.golden,
        base=served.base.name if served.base is not None else None,
        dtype=golden.coarser(dtype, served.dtype or served.root.dtype),
        max_model_len=length,
        variants=variants,
    )
    if not compared.prompts:
        return
    named = f"{served.name} ({', '.join(variants) or ('base' if served.base is None else 'asked')})"
    report(
        f"checked {named}: {compared.prompts} golden prompts, log-probabilities "
        f"within {compared.difference:.1e}"
    )
    if not compared.distinct:
        report(f"warning: no golden prompt tells {named} from its base")


def load_adapter(client: "httpx.Client", name: str, directory: str) -> None:
    """Make an adapter callable in the running server. Never in place: vLLM would read it again
    at every step. Raises Failed."""
    order(client, "/v1/load_lora_adapter", {"lora_name": name, "lora_path": directory})


def unload_adapter(client: "httpx.Client", name: str) -> None:
    """Streams under way end as they would have; later requests get 404. Raises Failed."""
    order(client, "/v1/unload_lora_adapter", {"lora_name": name})


def under_way(client: "httpx.Client") -> int | None:
    """Requests that the server works on or holds back; None when it does not tell."""
    text = _metrics(client)
    found = _UNDER_WAY.findall(text)
    return round(sum(float(value) for value in found)) if found else None


def adapters_under_way(client: "httpx.Client") -> set[str]:
    """The adapters that requests under way use, as the server told last."""
    newest = max(_ADAPTERS.findall(_metrics(client)), key=lambda row: float(row[2]), default=None)
    return {name for group in (newest or ())[:2] for name in group.split(",") if name}


def _metrics(client: "httpx.Client") -> str:
    import httpx

    try:
        response = client.get("/metrics", timeout=5.0)
    except httpx.TransportError:
        return ""
    return response.text if response.status_code == 200 else ""


def sleep(client: "httpx.Client") -> None:
    """Move the weights out of the device's memory. Raises Failed."""
    order(client, "/sleep?level=1")


def wake(client: "httpx.Client") -> None:
    order(client, "/wake_up")
