"""Starts a deployment's backend, checks what it serves, keeps it running, stops it cleanly.

`llmops serve` runs it in the foreground (serve.py); demos and tests use it as a context manager:

    with serving(load_deployment(path), load_settings()) as server:
        ask(server.endpoint, server.variants["candidate"], ["..."])

A backend that has ended is started again while `watch` runs; one that hangs is not noticed.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.engines.contract import Environment
from llmops.errors import BadInput, Failed
from llmops.runner.process import Process, start, tail
from llmops.serving.backends import vllm
from llmops.serving.cause import cause
from llmops.serving.copies import Copies
from llmops.serving.endpoint import Endpoint
from llmops.serving.listen import HOST, claim_port, claim_socket
from llmops.serving.plan import ServingPlan, plan_serving
from llmops.serving.readiness import Report, check_versions, is_healthy
from llmops.serving.state import (
    ServingState,
    Status,
    last_state,
    read_state,
    remove_state,
    write_state,
)
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded
from llmops.spec.settings import Settings
from llmops.spec.source import display
from llmops.store.digest import Digests
from llmops.store.liveness import process_mark
from llmops.store.paths import CachePaths, DeploymentPaths, ProjectPaths

if TYPE_CHECKING:
    import httpx
    from filelock import FileLock

START_SECONDS = 1800.0
"""How long a backend may take until it is healthy; large models take many minutes."""
STILL_SECONDS = 10.0
LONGEST_DELAY = 60.0
STEADY_SECONDS = 60.0
"""After so long without a crash the count of crashes and the delay start anew."""
MOST_CRASHES = 5


def prepare(
    loaded: Loaded[Deployment], settings: Settings, environment: Environment | None = None
) -> ServingPlan:
    """The plan of a deployment in a project. environment: vLLM's; found by the settings if None.

    Raises BadInput when it cannot be served.
    """
    from llmops.registry.store import Registry

    if environment is None:
        from llmops.environments.environment import find

        environment = find("vllm", settings, CachePaths(settings.cache))
    registry = Registry(ProjectPaths(settings.root))
    return plan_serving(loaded, registry, settings.root, environment)


@contextmanager
def serving(
    loaded: Loaded[Deployment],
    settings: Settings,
    *,
    report: Report = lambda _line: None,
    environment: Environment | None = None,
) -> Iterator["Supervisor"]:
    """A deployment that is ready within the block and gone after it. Raises BadInput, or Failed
    when the backend cannot be started or serves something else than what was registered."""
    supervisor = Supervisor(prepare(loaded, settings, environment), settings.root, report)
    try:
        supervisor.start()
        yield supervisor
    finally:
        supervisor.stop()


class Supervisor:
    """One deployment's backend. report: called with a line at each step."""

    def __init__(self, plan: ServingPlan, root: Path, report: Report) -> None:
        project = ProjectPaths(root)
        self.plan = plan
        self.paths: DeploymentPaths = project.deployment(plan.name)
        self._root = root
        self._report = report
        self._digests = Digests(project)
        self._lock = _lock(self.paths)
        self._backend: Process | None = None
        self._copies: dict[str, Path] = {}
        self._port = plan.port
        self._restarts = 0
        self._since = ""

    @property
    def endpoint(self) -> Endpoint:
        if self.plan.uds is not None:
            return Endpoint("http://localhost", str(self.plan.uds))
        return Endpoint(f"http://{HOST}:{self._port}")

    @property
    def variants(self) -> dict[str, str]:
        """The version behind each variant: what a request gives as `model`."""
        return dict(self.plan.variants)

    @property
    def started(self) -> bool:
        """Whether a backend was started."""
        return self._backend is not None

    def start(self) -> None:
        """Copy, start, check; returns when it is ready. Raises BadInput or Failed."""
        self._acquire()
        self._claim()
        for warning in self.plan.warnings:
            self._report(f"warning: {warning}")
        self._copies = Copies(self.paths, self._digests, self._report).make(self.plan)
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self.paths.log.write_bytes(b"")
        self._launch("starting")

    def watch(self) -> None:
        """Start the backend again whenever it ends, each time after a longer pause. Returns never;
        raises Failed when it ended MOST_CRASHES times without running for STEADY_SECONDS."""
        crashes, delay, ready = 0, 1.0, time.monotonic()
        while True:
            code = self._wait_for_end()
            if time.monotonic() - ready >= STEADY_SECONDS:
                crashes, delay = 0, 1.0
            crashes += 1
            problem = self._ended(code, "the backend ended")
            if crashes > MOST_CRASHES:
                raise Failed(
                    f"{problem.what}; given up after {MOST_CRASHES} restarts in a row",
                    where=problem.where,
                    fix=problem.fix,
                )
            self._report(f"{problem.what}; starting it again in {delay:.0f} s")
            self._restarts += 1
            self._stop_backend()
            self._write("restarting")
            time.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
            try:
                self._launch("restarting")
            except Failed as error:
                self._report(str(error))
            else:
                self._report(f"ready again at {self.endpoint}")
            ready = time.monotonic()

    def stop(self) -> None:
        """End the backend and remove the state. Does nothing when nothing was started."""
        self._stop_backend()
        if self._lock.is_locked:
            remove_state(self.paths)
            self._lock.release()

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

    def _claim(self) -> None:
        """The place to listen at, once what a killed supervisor left behind has let go of it."""
        before = last_state(self.paths)
        if before is not None and before.backend_pid is not None:
            _until_gone(before.backend_pid)
        if self.plan.uds is not None:
            claim_socket(self.plan.uds)
        else:
            self._port = claim_port(self.plan.port)

    def _launch(self, status: Status) -> None:
        """Start the backend and see that it serves what was registered."""
        cpu = vllm.is_cpu(self.plan.environment)
        command = vllm.command(self.plan, self._copies, self._port, cpu=cpu, threads=vllm.threads())
        self._report(f"starting vLLM {self.plan.environment.version} on {self.plan.base.name}")
        self._backend = start(command.argv, env=command.env, log=self.paths.log, cwd=self._root)
        self._write(status)
        with self.endpoint.client() as client:
            self._await_health(client)
            check_versions(client, self.plan, self._report)
        self._write("ready")

    def _await_health(self, client: "httpx.Client") -> None:
        started = time.monotonic()
        told = started
        while not is_healthy(self.endpoint, client):
            code = self._require_backend().wait(0.2)
            now = time.monotonic()
            if code is not None:
                raise self._ended(code, "the backend ended while it was starting")
            if now - started > START_SECONDS:
                raise Failed(
                    f"the backend was not healthy after {START_SECONDS:.0f} s",
                    where=display(self.paths.log),
                    fix=tail(self.paths.log),
                )
            if now - told > STILL_SECONDS:
                told = now
                self._report(f"still starting ({now - started:.0f} s)")

    def _wait_for_end(self) -> int:
        backend = self._require_backend()
        while (code := backend.wait(1.0)) is None:
            continue
        return code

    def _require_backend(self) -> Process:
        assert self._backend is not None, "the backend was not started"
        return self._backend

    def _ended(self, code: int, what: str) -> Failed:
        why = cause(self.paths.log)
        return Failed(
            f"{what} with exit code {code}" + (f": {why}" if why else ""),
            where=display(self.paths.log),
            fix="the log ends with:\n" + tail(self.paths.log),
        )

    def _stop_backend(self) -> None:
        if self._backend is not None:
            self._backend.stop()
            if self.plan.uds is not None:
                self.plan.uds.unlink(missing_ok=True)

    def _write(self, status: Status) -> None:
        backend = self._backend
        endpoint = self.endpoint
        state = ServingState(
            name=self.plan.name,
            status=status,
            pid=os.getpid(),
            process_started=process_mark(os.getpid()),
            backend_pid=backend.pid if backend is not None else None,
            url=endpoint.url,
            uds=endpoint.uds,
            base=self.plan.base.name,
            variants=self.variants,
            started=self._since,
            restarts=self._restarts,
            file=str(self.plan.file),
        )
        write_state(self.paths, state)


def _lock(paths: DeploymentPaths) -> "FileLock":
    from filelock import FileLock

    return FileLock(paths.lock)


def _until_gone(group: int) -> None:
    """Wait until a process group that is on its way out has ended, at most as long as it may."""
    from llmops.runner.guard import GRACE

    deadline = time.monotonic() + GRACE + 2
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.1)
