"""Writing the routing table that gateways follow: a new generation at each change, and at no other
time."""

from collections.abc import Mapping
from datetime import UTC, datetime

from llmops.gateway.routes import RoutedVariant, Routes, Target, Upstream, read_routes, write_routes
from llmops.spec.deployment import Deployment
from llmops.spec.grammar import seconds
from llmops.store.paths import DeploymentPaths


class Table:
    """One deployment's table. Generations go on from the table of an earlier server.

    Raises Failed when that one is damaged.
    """

    def __init__(self, spec: Deployment, paths: DeploymentPaths) -> None:
        self._spec = spec
        self._path = paths.routes
        self._written: Routes | None = None
        before = read_routes(self._path)
        self.generation = before.generation if before is not None else 0

    def write(
        self,
        *,
        backends: Mapping[str, Upstream],
        versions: Mapping[str, Target],
        variants: Mapping[str, str],
    ) -> bool:
        """variants: the version of each, which `versions` lists. Whether it was written."""
        weights = self._spec.traffic.weights
        routes = Routes(
            deployment=self._spec.name,
            generation=self.generation + 1,
            written=datetime.now(UTC).isoformat(timespec="milliseconds"),
            backends=dict(backends),
            versions=dict(versions),
            variants={
                name: RoutedVariant(
                    version=variants[name], weight=weights.get(name, 0.0) if weights else 1.0
                )
                for name in self._spec.variants
                if name in variants
            },
            unit=self._spec.traffic.unit,
            salt=self._spec.name,
            log=self._spec.feedback.log,
            window=seconds(self._spec.feedback.window),
        )
        before = self._written
        if before is not None and _content(before) == _content(routes):
            return False
        write_routes(self._path, routes)
        self._written = routes
        self.generation = routes.generation
        return True


def _content(routes: Routes) -> Routes:
    return routes.model_copy(update={"generation": 1, "written": ""})
