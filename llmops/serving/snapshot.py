"""The state of a deployment as its supervisor writes it down for others."""

import os
from collections.abc import Mapping

from llmops.serving.backend import Backend
from llmops.serving.gateway import GatewayProcess
from llmops.serving.plan import ServingPlan
from llmops.serving.resolve import Resolved
from llmops.serving.routing import Routing
from llmops.serving.state import BackendState, ServingState, Status
from llmops.spec.deployment import OpenAIBackend
from llmops.store.liveness import process_mark


def snapshot(
    plan: ServingPlan,
    *,
    starting: bool,
    since: str,
    gateway: GatewayProcess,
    resolved: Resolved,
    routing: Routing,
    backends: Mapping[str, Backend],
) -> ServingState:
    """since: when the supervisor was started."""
    endpoint = gateway.endpoint
    backend = plan.loaded.spec.backend
    return ServingState(
        name=plan.name,
        status=_status(backends, starting),
        pid=os.getpid(),
        process_started=process_mark(os.getpid()),
        url=endpoint.url,
        uds=endpoint.uds,
        gateway_pid=gateway.pid,
        base=next(iter(backends), ""),
        backends={name: _backend(one) for name, one in backends.items()},
        variants={name: one.name for name, one in routing.routed.items()},
        waiting=dict(resolved.waiting),
        problems={name: error.what for name, error in routing.problems.items()},
        generation=routing.generation,
        started=since,
        restarts=sum(one.restarts for one in backends.values()),
        file=str(plan.file),
        server=plan.server,
        keys=not plan.listen.is_private,
        own=not isinstance(backend, OpenAIBackend),
        sleep_problem=plan.sleep_problem,
    )


def _status(backends: Mapping[str, Backend], starting: bool) -> Status:
    statuses = {one.status for one in backends.values()} - {"gone", "failed"}
    if statuses and statuses <= {"held"}:
        return "held"
    if starting:
        return "starting"
    return "ready" if statuses <= {"ready"} or "ready" in statuses else "restarting"


def _backend(one: Backend) -> BackendState:
    endpoint = one.place.endpoint
    return BackendState(
        url=endpoint.url,
        uds=endpoint.uds,
        pid=one.pid,
        status=one.status,
        versions=sorted(one.adapters.loaded),
    )
