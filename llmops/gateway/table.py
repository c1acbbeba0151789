"""The routing table as a gateway uses it: compiled from routes.json, followed while it changes.

The file is looked at ten times a second (one `stat`). A damaged one changes nothing: the last
good table stays, and `problem` says so until a good one comes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmops.errors import LlmopsError
from llmops.gateway.assignment import ranked
from llmops.gateway.backend import Backend
from llmops.gateway.connection import Waits
from llmops.gateway.problems import Problems
from llmops.gateway.replies import Refused
from llmops.gateway.routes import Routes, Upstream, read_routes
from llmops.store.files import Mark, mark_of

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Choice:
    """A version that can answer. variant: empty for a version that was asked for by name; model:
    what it is called at its backend."""

    variant: str
    version: str
    backend: Backend
    model: str


class Routing:
    """One generation of the table. Raises BadInput when it contradicts itself."""

    def __init__(self, routes: Routes, backends: dict[str, Backend]) -> None:
        self.routes = routes
        self.generation = routes.generation
        self.deployment = routes.deployment
        self.required = routes.log == "required"
        self.versions = {name: self._choice("", name, backends) for name in routes.versions}
        self.variants = {
            name: self._choice(name, v.version, backends) for name, v in routes.variants.items()
        }
        self._weights = {name: v.weight for name, v in routes.variants.items() if v.weight > 0}

    def named(self, model: str | None) -> Choice | None:
        """The variant or version that a request names; None when it names the deployment, or
        nothing. Raises Refused (404) for a name that nothing has."""
        if model is None or model == self.deployment:
            return None
        found = self.variants.get(model) or self.versions.get(model)
        if found is None:
            known = ", ".join([self.deployment, *self.variants, *self.versions])
            what = f"The model `{model[:200]}` does not exist here; there are: {known}"
            raise Refused(404, what, code="model_not_found", param="model")
        return found

    def assigned(self, unit: str) -> Sequence[Choice]:
        """The variants with traffic, the unit's own first. Raises Refused (503) without any."""
        weights = self._weights
        order = list(weights) if len(weights) == 1 else ranked(unit, weights, self.routes.salt)
        if not order:
            what = f"No variant of `{self.deployment}` takes traffic yet"
            raise Refused(503, what, code="no_traffic")
        return [self.variants[name] for name in order]

    def _choice(self, variant: str, version: str, backends: dict[str, Backend]) -> Choice:
        target = self.routes.versions.get(version)
        if target is None:
            raise LlmopsError(f"variant `{variant}` has version `{version}`, which has no target")
        backend = backends.get(target.backend)
        if backend is None:
            raise LlmopsError(f"version `{version}` is at backend `{target.backend}`, not listed")
        return Choice(variant, version, backend, target.model)


class Table:
    """The newest good routing table of one deployment."""

    def __init__(self, path: Path, deployment: str, waits: Waits, problems: Problems) -> None:
        self.current: Routing | None = None
        self.problem = f"there is no routing table yet: {path}"
        self._path = path
        self._deployment = deployment
        self._waits = waits
        self._problems = problems
        self._seen: Mark | None = None
        self._backends: dict[Upstream, Backend] = {}

    def require(self) -> Routing:
        """The table. Raises Refused (503) while there is none."""
        if self.current is None:
            raise Refused(
                503, f"`{self._deployment}` is not ready: {self.problem}", code="no_routes"
            )
        return self.current

    def look(self) -> None:
        """Take a new table in, if there is one."""
        seen = mark_of(self._path)
        if seen is None or seen == self._seen:
            return  # a table that is taken away leaves the last one standing
        self._seen = seen
        try:
            self._take()
        except LlmopsError as error:
            kept = f"; generation {self.current.generation} stays" if self.current else ""
            self.problem = f"{error}{kept}"
            self._problems.tell("the routing table", self.problem)

    async def follow(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def close(self) -> None:
        for backend in self._backends.values():
            backend.close()

    def _take(self) -> None:
        try:
            routes = read_routes(self._path)
        except OSError as error:
            raise LlmopsError(f"the routing table cannot be read: {error}") from error
        if routes is None:
            return
        if routes.deployment != self._deployment:
            raise LlmopsError(f"the routing table is of deployment `{routes.deployment}`")
        upstreams = set(routes.backends.values())
        kept = {u: self._backends.get(u) or Backend(u, self._waits) for u in upstreams}
        self.current = Routing(routes, {n: kept[u] for n, u in routes.backends.items()})
        for upstream in set(self._backends) - upstreams:
            self._backends[upstream].close()
        self._backends = kept
        self.problem = ""
        self._problems.over("the routing table")
