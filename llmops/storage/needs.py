"""Who needs a version: aliases and the way back, its children, what is served, what runs or is to.

Asked once for all versions of a project; reads only. What another machine serves from a copy of the
registry is not seen from here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.errors import BadInput
from llmops.registry.aliases import named
from llmops.registry.index import Row
from llmops.registry.manifest import VersionId
from llmops.registry.promotion import back
from llmops.registry.remote.outbox import Outbox
from llmops.registry.standing import needs, policy_of
from llmops.registry.store import Registry
from llmops.runner.graph import build_graph
from llmops.runner.record import list_runs
from llmops.serving.state import running
from llmops.serving.wanted import Wishes
from llmops.spec.deployments import declared
from llmops.spec.settings import Settings
from llmops.stages.catalog import KINDS
from llmops.store.files import read_object
from llmops.store.paths import DeploymentPaths, ProjectPaths


@dataclass(frozen=True)
class Need:
    """Why a version must stay. what: who needs it, and as what; fix: what ends that."""

    what: str
    fix: str


class Needs:
    """Of all versions of a project, as things stand now."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings, self._registry = settings, registry
        self._paths = ProjectPaths(settings.root)
        self._found: dict[str, list[Need]] = defaultdict(list)
        self._children: dict[str, list[Row]] = defaultdict(list)
        self._way_back: dict[str, list[Need]] = defaultdict(list)
        for name in registry.names():
            self._read_model(name)
        sources = (self._served, self._declared, self._runs, self._queued, self._pushed)
        for source in sources:
            for version, need in source():
                self._found[version].append(need)

    def of(
        self, version: VersionId, *, gone: Collection[str] = (), way_back: bool = True
    ) -> list[Need]:
        """Nothing for one that may go. gone: children that go with it; way_back: whether a rollback
        that leads to it is a need."""
        found = [*self._found[str(version)]]
        for child in self._children[str(version)]:
            if str(child.id) not in gone:
                how = "is an adapter on it" if child.base == str(version) else "was trained from it"
                fix = f"`llmops models delete {child.id}` first"
                found.append(Need(f"{child.id} {how}", fix))
        return found + (self._way_back[str(version)] if way_back else [])

    def _read_model(self, name: str) -> None:
        for row in self._registry.rows(name):
            for parent in {row.base, row.parent} - {None}:
                self._children[str(parent)].append(row)
        history = self._registry.alias_log.history(name)
        for alias, version in named(history).items():
            asked = needs(policy_of(name, alias, self._registry), version)
            how = "promote" if asked else "alias"
            fix = f"`llmops models {how} {name}:vN {alias}` lets it name another"
            self._found[str(version)].append(Need(f"{name}@{alias} names it", fix))
            before = back(alias, history)
            if before is not None:
                what = f"a rollback of {name}@{alias} leads to it"
                fix = "--no-way-back gives that up; or wait for the alias to move on"
                self._way_back[before].append(Need(what, fix))

    def _served(self) -> Iterator[tuple[str, Need]]:
        for state in running(self._paths.serving):
            stop = f"take it out of serving, or stop the deployment `{state.name}`"
            loaded = {one for backend in state.backends.values() for one in backend.versions}
            for version in {*loaded, *state.backends, *state.variants.values(), state.base}:
                yield version, Need(f"the running deployment `{state.name}` serves it", stop)
        for folder in _folders(self._paths.serving):
            for version in Wishes(DeploymentPaths(folder)).versions():
                what = f"an evaluation asks the deployment `{folder.name}` for it"
                yield version, Need(what, "wait until it has ended")

    def _declared(self) -> Iterator[tuple[str, Need]]:
        for one in declared(self._settings.root).loaded:
            for name, variant in one.spec.variants.items():
                if variant.model is not None:
                    where = one.source.where(("variants", name, "model"))
                    yield variant.model, Need(f"{where} names it", "name another there")

    def _runs(self) -> Iterator[tuple[str, Need]]:
        """Those that run, or wait for evidence, by what their plans pinned and they made since."""
        for record in list_runs(self._paths):
            if record.state not in ("running", "waiting"):
                continue
            plan = read_object(self._paths.run(record.id).plan)
            used = {one for stage in plan.get("stages", []) for one in _used(stage)}
            what, fix = f"the run {record.id} uses it", f"`llmops runs stop {record.id}`, or wait"
            for version in used | {str(stage.output) for stage in record.stages}:
                yield version, Need(what, fix)

    def _queued(self) -> Iterator[tuple[str, Need]]:
        """By what their declarations say now."""
        for job in self._jobs():
            fix = f"`llmops runs stop {job.id}`, or wait"
            file = self._settings.root / job.target
            try:
                graph = build_graph(
                    file, job.overrides, root=self._settings.root, kinds=KINDS, scope=job.scope
                )
            except BadInput:
                continue  # it will not run like this either
            for node in graph.nodes:
                for item in node.inputs.values():
                    yield str(item.reference), Need(f"the queued run {job.id} reads it", fix)

    def _pushed(self) -> Iterator[tuple[str, Need]]:
        for one in Outbox(self._registry).waiting():
            what = f"a push to {one.repository} waits in the outbox"
            fix = f"`llmops models outbox send`, or `llmops models outbox drop {one.id}`"
            yield one.version, Need(what, fix)

    def _jobs(self) -> list[Any]:
        if self._settings.database is None and not self._paths.database.is_file():
            return []
        from llmops.scheduling.jobs import in_order
        from llmops.store.database import open_database, reading

        database = open_database(self._settings)
        try:
            with reading(database) as connection:
                return in_order(connection)
        finally:
            database.dispose()


def _used(stage: dict[str, Any]) -> Iterator[str]:
    yield str(stage.get("output"))
    for item in stage.get("inputs", {}).values():
        yield str(item.get("id"))


def _folders(serving: Path) -> list[Path]:
    return sorted(path for path in serving.iterdir() if path.is_dir()) if serving.is_dir() else []
