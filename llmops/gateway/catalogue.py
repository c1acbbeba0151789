"""What a gateway offers: its models, the split of its traffic, and whether it is ready."""

from datetime import datetime
from typing import Any

from llmops.gateway.assignment import shares
from llmops.gateway.gateway import Gateway
from llmops.gateway.replies import Reply, json_reply
from llmops.gateway.table import Routing


def models(gateway: Gateway) -> Reply:
    """Every name that `model` may have: the deployment, its variants, pinned versions."""
    return json_reply({"object": "list", "data": _models(gateway.table.require())})


def model(gateway: Gateway, name: str) -> Reply:
    """One of them. Raises Refused (404)."""
    routing = gateway.table.require()
    routing.named(name)
    return json_reply(next(found for found in _models(routing) if found["id"] == name))


def experiments(gateway: Gateway) -> Reply:
    """The split of the traffic as the routing table tells it; no outcomes."""
    routing = gateway.table.require()
    routes = routing.routes
    share = shares({name: variant.weight for name, variant in routes.variants.items()})
    return json_reply(
        {
            "deployment": routes.deployment,
            "generation": routes.generation,
            "written": routes.written,
            "unit": routes.unit,
            "log": routes.log,
            "variants": [
                {"name": n, "version": v.version, "weight": v.weight, "share": round(share[n], 6)}
                for n, v in routes.variants.items()
            ],
        }
    )


def ready(gateway: Gateway) -> Reply:
    """200 when requests can be answered as far as the gateway knows; the backends' health is not
    its to say. `problems` may be there all the same: a damaged table, under the last good one."""
    routing = gateway.table.current
    failure = gateway.journal.failure
    problems = [p for p in (gateway.table.problem, str(failure) if failure else "") if p]
    is_ready = routing is not None and (failure is None or not routing.required)
    told: dict[str, Any] = {
        "ready": is_ready,
        "deployment": gateway.options.deployment,
        "generation": routing.generation if routing else None,
        "problems": problems,
    }
    return json_reply(told, 200 if is_ready else 503)


def metrics(gateway: Gateway) -> Reply:
    routing = gateway.table.current
    gateway.metrics.generation.values[()] = routing.generation if routing else 0
    gateway.metrics.lost.values[()] = gateway.journal.lost
    kind = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
    return Reply(200, gateway.metrics.text(), (kind,))


def _models(routing: Routing) -> list[dict[str, Any]]:
    written = int(datetime.fromisoformat(routing.routes.written).timestamp())
    found = {routing.deployment: _model(routing.deployment, written, "deployment", None)}
    for name, choice in routing.variants.items():
        found.setdefault(name, _model(name, written, "variant", choice.version))
    for name in routing.versions:
        found.setdefault(name, _model(name, written, "version", name))
    return list(found.values())


def _model(name: str, created: int, kind: str, version: str | None) -> dict[str, Any]:
    told = {"kind": kind, "version": version}
    return {"id": name, "object": "model", "created": created, "owned_by": "llmops", "llmops": told}
