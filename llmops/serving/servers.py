"""The servers that the stages of a run use: those that run already, or started for the run.

`reach` gives a deployment's gateway, `answering` versions at their backends, loaded into the
running one where there is one. What had to be started lives until `close`, at the end of the run,
as a process of its own under a guard.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmops.engines.contract import Progress
from llmops.errors import Failed
from llmops.gateway.routes import Routes, Upstream, read_routes
from llmops.runner.process import Process, interpreter, last_lines, start, tail
from llmops.serving.endpoint import Endpoint, get
from llmops.serving.state import ServingState, read_state
from llmops.serving.wanted import Asked, ask
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded, load_deployment
from llmops.spec.settings import Settings
from llmops.spec.source import display
from llmops.store import logs
from llmops.store.paths import DeploymentPaths, ProjectPaths

Report = Callable[[Progress], None]

_PULSE = 0.1


@dataclass(frozen=True)
class Reached:
    """A deployment that is being served. endpoint: of its gateway."""

    name: str
    endpoint: Endpoint
    paths: DeploymentPaths


@dataclass(frozen=True)
class Answering:
    """A version that can be asked. endpoint: of its backend; model: its name there; backend: what
    serves it, with its version."""

    endpoint: Endpoint
    model: str
    backend: str


class Servers:
    """Of one run. `close` ends what it started."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = ProjectPaths(settings.root)
        self._started: dict[str, Process] = {}

    def reach(self, file: Path, report: Report) -> Reached:
        """The gateway of the deployment in `file`, ready. Raises BadInput or Failed."""
        loaded = load_deployment(file)
        name = loaded.spec.name
        self._ensure(loaded, report)
        state = self._await(name, report, _gateway_follows)
        return Reached(name, state.endpoint, self._paths.deployment(name))

    @contextmanager
    def answering(
        self, file: Path, versions: Sequence[str], report: Report
    ) -> Iterator[dict[str, Answering]]:
        """Each of the versions, callable at its backend within the block, whether or not a variant
        of the deployment in `file` names it. Raises BadInput, or Failed when one cannot be
        served."""
        loaded = load_deployment(file)
        name = loaded.spec.name
        asked = ask(self._paths.deployment(name), versions)
        try:
            self._ensure(loaded, report)
            found: dict[str, Answering] = {}

            def served(state: ServingState) -> bool:
                found.update(self._look_up(asked, name, state) if _is_ready(state) else {})
                return len(found) == len(set(versions))

            self._await(name, report, served)
            yield found
        finally:
            asked.close()

    def close(self) -> None:
        """End the servers that were started."""
        for process in self._started.values():
            process.stop()
        self._started.clear()

    def _ensure(self, loaded: Loaded[Deployment], report: Report) -> None:
        """Start the deployment unless somebody serves it."""
        name = loaded.spec.name
        paths = self._paths.deployment(name)
        process = self._started.get(name)
        if (process is not None and process.poll() is None) or read_state(paths) is not None:
            return
        report(Progress(f"starting deployment {name}"))
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.supervisor_log.write_bytes(b"")
        self._started[name] = start(
            interpreter("llmops", "serve", str(loaded.path.resolve())),
            env={},
            log=paths.supervisor_log,
            cwd=self._settings.root,
        )

    def _await(
        self, name: str, report: Report, done: Callable[[ServingState], bool]
    ) -> ServingState:
        """Until `done` says so of the deployment's state. Raises Failed when it ends."""
        paths = self._paths.deployment(name)
        told = _said(paths)  # before, to whoever asked then
        while True:
            process = self._started.get(name)
            ended = process is not None and process.poll() is not None
            state = read_state(paths)
            if state is not None and done(state):
                return state
            if state is None and (ended or process is None):
                raise _ended(name, paths, started=process is not None)
            if ended:
                del self._started[name]  # somebody else was quicker to serve it
            news = _news(name, paths, state, started=process is not None)
            if news not in (told, f"{name}: {told}"):
                told = news
                report(Progress(news))
            time.sleep(_PULSE)

    def _look_up(self, asked: Asked, name: str, state: ServingState) -> dict[str, Answering]:
        """Where the versions answer; empty until all of them do. Raises Failed when one will
        not."""
        problem = asked.problem()
        if problem is not None:
            raise problem
        paths = self._paths.deployment(name)
        routes = read_routes(paths.routes)
        if routes is None or routes.generation < state.generation:
            return {}
        return _answering(asked.versions, routes, paths, state.server)


def _answering(
    versions: Sequence[str], routes: Routes, paths: DeploymentPaths, server: str
) -> dict[str, Answering]:
    found = {}
    for version in versions:
        target = routes.versions.get(version)
        upstream = routes.backends.get(target.backend) if target is not None else None
        if target is None or upstream is None or upstream.uds == str(paths.closed.absolute()):
            return {}
        found[version] = Answering(_endpoint(upstream), target.model, server)
    return found


def _endpoint(upstream: Upstream) -> Endpoint:
    return Endpoint(upstream.url, upstream.uds, upstream.key_env)


def _is_ready(state: ServingState) -> bool:
    return state.status == "ready"


def _gateway_follows(state: ServingState) -> bool:
    """Whether it is ready, and the gateway has read the table that says so."""
    if not _is_ready(state) or not state.endpoint.listens():
        return False
    try:
        with state.endpoint.client(timeout=2.0) as client:
            told = get(client, "/readyz")
    except Failed:
        return False
    return bool(told["ready"]) and (told["generation"] or 0) >= state.generation


def _news(name: str, paths: DeploymentPaths, state: ServingState | None, *, started: bool) -> str:
    """What the deployment does now, in its own words where they can be read."""
    said = _said(paths) if started else ""
    if said:
        return f"{name}: {said}"
    status = state.status if state is not None else "starting"
    return f"waiting for deployment {name}" + ("" if status == "ready" else f", which is {status}")


def _said(paths: DeploymentPaths) -> str:
    """What its supervisor said last."""
    lines = last_lines(paths.supervisor_log)
    return logs.said(lines[-1])[1] if lines else ""


def _ended(name: str, paths: DeploymentPaths, *, started: bool) -> Failed:
    if not started:
        return Failed(f"deployment `{name}` ended", fix="see what its terminal says")
    why = logs.last_error(last_lines(paths.supervisor_log))
    return Failed(
        f"deployment `{name}` could not be served" + (f": {why}" if why else ""),
        where=display(paths.supervisor_log),
        fix="it said:\n" + tail(paths.supervisor_log),
    )
