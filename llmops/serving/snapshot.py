"""The state of a deployment as its supervisor writes it down for others."""

import os
from collections.abc import Mapping

from llmops.gateway.routes import Upstream
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
        status=status_of(backends, routing.upstreams, starting),
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


def status_of(
    backends: Mapping[str, Backend], upstreams: Mapping[str, Upstream], starting: bool
) -> Status:
    """A backend that came back after the table was written gets no requests yet: it counts as down
    until the next one."""
    statuses = {_routed(one, upstreams.get(name)) for name, one in backends.items()}
    statuses -= {"gone", "failed"}
    if statuses and statuses <= {"held"}:
        return "held"
    if starting:
        return "starting"
    return "ready" if statuses <= {"ready"} or "ready" in statuses else "restarting"


def _routed(one: Backend, upstream: Upstream | None) -> str:
    endpoint = one.place.endpoint
    elsewhere = upstream is not None and upstream.uds != endpoint.uds
    return "down" if one.status == "ready" and elsewhere else one.status


def _backend(one: Backend) -> BackendState:
    endpoint = one.place.endpoint
    return BackendState(
        url=endpoint.url,
        uds=endpoint.uds,
        pid=one.pid,
        status=one.status,
        versions=sorted(one.adapters.loaded),
    )
