"""Keeps a deployment served: its backends, its gateway, and the table between the two.

`llmops serve` runs it in the foreground (serve.py).

It compares what is wanted (the aliases of the variants, the wishes of others) with what stands,
again and again: a version is routed once its backend has it loaded and checked, and until then
the variant stays where it was. Everything slow happens in the backends' own threads.
"""

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.engines.contract import Environment
from llmops.errors import BadInput, Failed, LlmopsError
from llmops.registry.store import Registry
from llmops.serving import hold
from llmops.serving.copies import Copies
from llmops.serving.demand import Demand
from llmops.serving.endpoint import Endpoint
from llmops.serving.gateway import GatewayProcess
from llmops.serving.leftovers import await_gone
from llmops.serving.listen import Place
from llmops.serving.patience import Patience
from llmops.serving.plan import ServingPlan, plan_serving
from llmops.serving.pool import Existing, Pool, VllmPool
from llmops.serving.readiness import Report
from llmops.serving.routing import Routing
from llmops.serving.snapshot import snapshot
from llmops.serving.state import (
    ServingState,
    last_state,
    read_state,
    write_state,
)
from llmops.serving.table import Table
from llmops.serving.wanted import Wishes
from llmops.spec.deployment import Deployment, OpenAIBackend
from llmops.spec.load import Loaded
from llmops.spec.settings import Settings
from llmops.spec.source import display
from llmops.store.cache_paths import CachePaths
from llmops.store.digest import Digests
from llmops.store.paths import DeploymentPaths, ProjectPaths

if TYPE_CHECKING:
    from filelock import FileLock

_PULSE = 0.1
"""Seconds between two looks at the aliases, the wishes and the gateway."""


def prepare(
    loaded: Loaded[Deployment], settings: Settings, environment: Environment | None = None
) -> ServingPlan:
    """The plan of a deployment in a project. environment: vLLM's; found by the settings if None.

    Raises BadInput when it cannot be served.
    """
    if environment is None and not isinstance(loaded.spec.backend, OpenAIBackend):
        from llmops.environments.environment import find

        environment = find("vllm", settings, CachePaths(settings.cache))
    paths = ProjectPaths(settings.root)
    wanted = Wishes(paths.deployment(loaded.spec.name)).versions()
    return plan_serving(loaded, Registry(paths), settings.root, environment, wanted)


class Supervisor:
    """One deployment. report: called with a line at each step, from several threads."""

    def __init__(
        self, plan: ServingPlan, root: Path, report: Report, patience: Patience | None = None
    ) -> None:
        project = ProjectPaths(root)
        self.plan = plan
        self.paths: DeploymentPaths = project.deployment(plan.name)
        self._project = project
        self._report = report
        self._demand = Demand(plan.loaded, root, self.paths, plan.resolved)
        self._changed = threading.Event()
        self._ending = False
        self._starting = True
        self._lock = _lock(self.paths)
        self._since = ""
        self._state: ServingState | None = None
        self._pool = self._make_pool(patience or Patience())
        self._gateway: GatewayProcess | None = None
        self._routing: Routing | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The gateway's."""
        return self._require_gateway().endpoint

    @property
    def backends(self) -> dict[str, Endpoint]:
        """Where each vLLM server answers, by the name of its base."""
        return {name: one.place.endpoint for name, one in self._pool.backends.items()}

    @property
    def variants(self) -> dict[str, str]:
        """The version behind each variant, as traffic goes now."""
        routed = self._routing.routed if self._routing is not None else {}
        return {name: one.name for name, one in (routed or self._demand.resolved.variants).items()}

    @property
    def generation(self) -> int:
        """Of the routing table."""
        return self._routing.generation if self._routing is not None else 0

    @property
    def started(self) -> bool:
        """Whether anything was started."""
        return self._gateway is not None

    def start(self) -> None:
        """Copy, start, check; returns when it is ready. Raises BadInput or Failed."""
        self._acquire()
        place = self._claim()
        for warning in self.plan.warnings:
            self._report(f"warning: {warning}")
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        Copies(self.paths, Digests(self._project)).sweep(self.plan.versions)
        self._routing = Routing(Table(self.plan.loaded.spec, self.paths), self._pool, self._report)
        self._routing.close(self._demand.resolved.variants)
        self._gateway = GatewayProcess(
            self.plan.name, place, self._project.root, self.paths.gateway_log, self._report
        )
        self._gateway.start()
        self._write_state()  # who kills this process from now on leaves word of the gateway
        self._look()
        self._gateway.await_healthy()
        while not self._settled():
            self._pause()
            self._look()
            self._write_state()
        self._act()
        self._gateway.await_generation(self.generation)
        self._starting = False
        self._write_state()

    def watch(self) -> None:
        """Follow the aliases and keep everything running, until `end`. Raises Failed when every
        backend has ended too often; anything else (a full disk) is told once, and tried again."""
        told = ""
        while not self._ending:
            self._pause()
            try:
                self._step()
                told = ""
            except LlmopsError as error:
                if error.what != told:
                    self._report(f"warning: {error}")
                told = error.what
            failures = [one.failure for one in self._pool.backends.values()]
            if failures and all(failures):
                raise next(failure for failure in failures if failure is not None)

    def end(self) -> None:
        """Let `watch` return."""
        self._ending = True
        self._changed.set()

    def stop(self) -> None:
        """End everything and remove the state. Does nothing when nothing was started."""
        if self._gateway is not None:
            self._gateway.stop()
        self._pool.stop()
        if self._lock.is_locked:
            self.paths.state.unlink(missing_ok=True)
            self._lock.release()

    def _step(self) -> None:
        self._look()
        if self._act():
            self._await_gateway()
        self._write_state()

    def _look(self) -> None:
        """What is wanted now; the backends are told."""
        self._require_gateway().keep()
        held = hold.current(self.paths)
        self._pool.hold(held.how if held is not None else None)
        self._demand.read(self._pool.problem)
        routed = self._routing.routed.values() if self._routing is not None else ()
        self._pool.want([*self._demand.versions, *routed])

    def _act(self) -> bool:
        """Let the table follow what the backends have ready. Whether it changed."""
        assert self._routing is not None
        return self._routing.update(self._demand.resolved, self._demand.wished.values())

    def _await_gateway(self) -> None:
        """What the state calls ready answers: so the gateway follows the table first. One that
        does not (its journal's disk may be full) is no reason to end what serves."""
        try:
            self._require_gateway().await_generation(self.generation)
        except Failed as error:
            self._report(f"warning: {error}")

    def _settled(self) -> bool:
        """Whether everything that is wanted at the start is ready. Raises what stands against
        it."""
        for one in self._demand.resolved.variants.values():
            problem = self._pool.problem(one)
            if problem is not None:
                raise problem
        return all(
            self._pool.ready(one) or self._pool.problem(one) for one in self._demand.versions
        )

    def _make_pool(self, patience: Patience) -> Pool:
        backend = self.plan.loaded.spec.backend
        if isinstance(backend, OpenAIBackend):
            return Existing(backend)
        assert self.plan.environment is not None
        return VllmPool(
            backend,
            self.plan.environment,
            self._project,
            self.paths,
            patience=patience,
            report=self._report,
            on_change=self._changed.set,
            variants_of=self._demand.variants_of,
        )

    def _pause(self) -> None:
        self._changed.wait(_PULSE)
        self._changed.clear()

    def _acquire(self) -> None:
        from filelock import Timeout

        self.paths.root.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            state = read_state(self.paths)
            told = f" by process {state.pid}, at {state.endpoint}" if state else ""
            raise BadInput(
                f"deployment `{self.plan.name}` is being served already{told}",
                where=display(self.plan.file),
                fix="use that one, or stop it first (Ctrl-C, or SIGTERM to the process)",
            ) from None

    def _claim(self) -> Place:
        """The gateway's place, once what a killed supervisor left behind has let go of it."""
        before = last_state(self.paths)
        if before is not None:
            await_gone(before.groups)
        return self.plan.listen.claim()

    def _require_gateway(self) -> GatewayProcess:
        assert self._gateway is not None, "the deployment was not started"
        return self._gateway

    def _write_state(self) -> None:
        assert self._routing is not None
        now = snapshot(
            self.plan,
            starting=self._starting,
            since=self._since,
            gateway=self._require_gateway(),
            resolved=self._demand.resolved,
            routing=self._routing,
            backends=self._pool.backends,
        )
        if now != self._state:
            write_state(self.paths, now)
            self._state = now


def _lock(paths: DeploymentPaths) -> "FileLock":
    from filelock import FileLock

    return FileLock(paths.lock, thread_local=False)
