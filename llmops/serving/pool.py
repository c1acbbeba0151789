"""The servers behind a deployment: one vLLM for each base, or one that exists already.

Says where each version answers. A second base gets a server of its own when memory allows; a base
that nothing needs any more is stopped.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from llmops.engines.contract import Environment
from llmops.errors import Failed, LlmopsError
from llmops.gateway.routes import Target, Upstream
from llmops.serving import memory
from llmops.serving.backend import Backend, Hold, Surroundings
from llmops.serving.backends import vllm
from llmops.serving.backends.architectures import takes_adapters
from llmops.serving.copies import Copies
from llmops.serving.endpoint import root_of
from llmops.serving.listen import private_place
from llmops.serving.patience import Patience
from llmops.serving.readiness import Report
from llmops.serving.served import Load, Served, loads_of
from llmops.spec.deployment import OpenAIBackend, VllmBackend
from llmops.store.digest import Digests
from llmops.store.paths import DeploymentPaths, ProjectPaths


class Pool(Protocol):
    """What a supervisor asks of the servers behind a deployment."""

    @property
    def backends(self) -> Mapping[str, Backend]: ...

    def want(self, versions: Sequence[Served]) -> None:
        """These are to be answered for from now on. To be called often."""
        ...

    def ready(self, one: Served) -> bool:
        """Whether requests for a version can be sent now."""
        ...

    def target(self, one: Served) -> Target:
        """Where a version answers, or will."""
        ...

    def targets(self) -> dict[str, Target]:
        """Every version that is loaded, wanted or not, by its name."""
        ...

    def upstreams(self, names: Iterable[str]) -> dict[str, Upstream]:
        """The backends of these names; those that take no requests now lead nowhere, so that the
        gateway answers 503 to what is for them."""
        ...

    def problem(self, one: Served) -> LlmopsError | None:
        """Why a version that is wanted will not be answered for."""
        ...

    def hold(self, how: Hold | None) -> None: ...

    def stop(self) -> None: ...


class Existing:
    """A server that is there already: whatever it is asked for, it has or has not."""

    backends: Mapping[str, Backend] = {}

    def __init__(self, spec: OpenAIBackend) -> None:
        self._upstream = Upstream(url=root_of(spec.url), key_env=spec.key_env, own=False)
        self._wanted: dict[str, Served] = {}

    def want(self, versions: Sequence[Served]) -> None:
        self._wanted = {one.name: one for one in versions}

    def ready(self, one: Served) -> bool:
        return True

    def target(self, one: Served) -> Target:
        return Target(backend="openai", model=one.model)

    def targets(self) -> dict[str, Target]:
        return {name: self.target(one) for name, one in self._wanted.items()}

    def upstreams(self, names: Iterable[str]) -> dict[str, Upstream]:
        return {"openai": self._upstream}

    def problem(self, one: Served) -> None:
        return None

    def hold(self, how: Hold | None) -> None:
        """It is not ours to stop."""

    def stop(self) -> None:
        return None


class VllmPool:
    """vLLM servers of this project's own, by the digest of their base."""

    def __init__(
        self,
        settings: VllmBackend,
        environment: Environment,
        project: ProjectPaths,
        paths: DeploymentPaths,
        *,
        patience: Patience,
        report: Report,
        on_change: Callable[[], None],
        variants_of: Callable[[str], Sequence[str]],
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._project = project
        self._paths = paths
        self._patience = patience
        self._report = report
        self._on_change = on_change
        self._variants_of = variants_of
        self._pool: dict[str, Backend] = {}
        self._needed: dict[str, float] = {}
        self._refused: dict[str, LlmopsError] = {}
        self._started = 0
        self._hold: Hold | None = None

    @property
    def backends(self) -> Mapping[str, Backend]:
        """By the name of the base."""
        return {one.base.name: one for one in self._pool.values()}

    def want(self, versions: Sequence[Served]) -> None:
        loads = {load.base.digest: load for load in loads_of(versions)}
        for digest in self._refused.keys() - loads.keys():
            del self._refused[digest]
        self._dismiss(loads.keys())
        for digest, load in loads.items():
            self._needed[digest] = time.monotonic()
            if digest in self._pool:
                self._pool[digest].want(load.adapters)
                self._pool[digest].adapters.touch(one.name for one in load.versions)
            elif digest not in self._refused:
                self._admit(load)

    def ready(self, one: Served) -> bool:
        backend = self._pool.get(one.root.digest)
        return (
            backend is not None
            and backend.open
            and self.target(one).model in backend.adapters.loaded
        )

    def target(self, one: Served) -> Target:
        backend = self._pool.get(one.root.digest)
        base = backend.base.name if backend is not None else one.root.name
        return Target(backend=base, model=base if one.base is None else one.name)

    def targets(self) -> dict[str, Target]:
        return {
            version: Target(backend=backend.base.name, model=version)
            for backend in self._pool.values()
            for version in list(backend.adapters.loaded)
        }

    def upstreams(self, names: Iterable[str]) -> dict[str, Upstream]:
        nowhere = Upstream(url="http://localhost", uds=str(self._paths.closed.absolute()))
        found = dict.fromkeys(names, nowhere)
        for name, backend in self.backends.items():
            if backend.open and name in found:
                endpoint = backend.place.endpoint
                found[name] = Upstream(url=endpoint.url, uds=endpoint.uds)
        return found

    def problem(self, one: Served) -> LlmopsError | None:
        digest = one.root.digest
        backend = self._pool.get(digest)
        if backend is None:
            return self._refused.get(digest)
        if backend.failure is not None:
            return backend.failure
        return backend.adapters.problems.get(one.name)

    def hold(self, how: Hold | None) -> None:
        self._hold = how
        for backend in self._pool.values():
            backend.hold(how)

    def stop(self) -> None:
        for backend in self._pool.values():
            backend.stop()

    def _admit(self, load: Load) -> None:
        """Start a server of its own for a base, or remember why not."""
        cpu = vllm.is_cpu(self._environment)
        if any(one.status not in ("ready", "failed", "gone") for one in self._pool.values()):
            return  # what it takes, or will take again, is not known yet
        running = {b.pid: b.base for b in self._pool.values() if b.pid is not None}
        why = memory.why_not(load.base, self._settings, cpu=cpu, running=running)
        lora = takes_adapters(self._environment.site, load.base.directory) is not False
        if load.adapters and not lora:
            why = "vLLM takes no adapters on a model of its class"
        if why:
            self._refused[load.base.digest] = Failed(
                f"no server for {load.base.name}: {why}",
                fix="serve it by a deployment of its own, or where there is more memory",
            )
            self._on_change()
            return
        self._start(load, lora)

    def _start(self, load: Load, lora: bool) -> None:
        self._started += 1
        place = private_place(self._paths.backend_socket(self._started))
        settings = self._settings
        sleeps = bool(settings.options.get("enable_sleep_mode")) and place.uds is not None
        server = vllm.Server(load, settings, self._environment, place.claim(), lora, sleeps)
        log = self._paths.backend_log(self._started)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        around = Surroundings(
            root=self._project.root,
            log=log,
            copies=Copies(self._paths, Digests(self._project), self._report),
            patience=self._patience,
            report=self._report,
            on_change=self._on_change,
            variants_of=self._variants_of,
        )
        backend = Backend(server, around)
        backend.hold(self._hold)
        self._pool[load.base.digest] = backend
        backend.start()

    def _dismiss(self, needed: Iterable[str]) -> None:
        """Let go of the bases that nothing has needed for a while. One that is needed again once
        its server was told to leave gets a new server; one that failed stays, with the reason."""
        now = time.monotonic()
        for digest, backend in list(self._pool.items()):
            unneeded = digest not in needed
            if backend.status == "gone" or (unneeded and backend.status == "failed"):
                backend.stop()
                backend.forget()
                del self._pool[digest]
                self._on_change()
            elif unneeded and now - self._needed[digest] >= self._patience.linger:
                if not backend.leaving:
                    self._report(f"nothing needs {backend.base.name} any more: stopping its server")
                backend.leave()
