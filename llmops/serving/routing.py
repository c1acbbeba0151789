"""Which version each variant goes to: the one that its alias names, once that one is ready."""

from collections.abc import Iterable, Mapping

from llmops.errors import LlmopsError
from llmops.gateway.routes import Target, Upstream
from llmops.serving.pool import Pool
from llmops.serving.readiness import Report
from llmops.serving.resolve import Resolved
from llmops.serving.served import Served
from llmops.serving.table import Table


class Routing:
    """One deployment's traffic. routed: the version of each variant, as the table says now;
    upstreams: where it leads to; problems: why a variant is not where its alias points."""

    def __init__(self, table: Table, pool: Pool, report: Report) -> None:
        self.routed: dict[str, Served] = {}
        self.upstreams: dict[str, Upstream] = {}
        self.problems: dict[str, LlmopsError] = {}
        self._table = table
        self._pool = pool
        self._report = report
        self._told: dict[str, tuple[str, str]] = {}

    @property
    def generation(self) -> int:
        return self._table.generation

    def close(self, variants: Mapping[str, Served]) -> None:
        """Say that these are coming: until their backends are there, the gateway answers 503."""
        self._write(variants, variants.values())

    def update(self, resolved: Resolved, wanted: Iterable[Served]) -> bool:
        """Move what is ready, and write the table if it changed. Whether anything changed."""
        moved: list[str] = []
        problems: dict[str, LlmopsError] = dict(resolved.problems)
        routed = dict(self.routed)
        for name, version in resolved.variants.items():
            before = self.routed.get(name)
            if before is not None and before.name == version.name:
                continue
            if self._pool.ready(version):
                routed[name] = version
                moved.append(f"{name}: {before.name if before else 'nothing'} -> {version.name}")
            elif (problem := self._pool.problem(version)) is not None:
                problems[name] = problem
        self._tell(problems, resolved)
        ready = [one for one in wanted if self._pool.ready(one)]
        # The last one of a name counts: who asks for a version must not move others' traffic.
        written = self._write(routed, [*ready, *routed.values()])
        self.routed = routed
        if moved and written:
            self._report(f"{', '.join(moved)} (generation {self.generation})")
        changed = written or problems.keys() != self.problems.keys()
        self.problems = problems
        return changed

    def _write(self, variants: Mapping[str, Served], versions: Iterable[Served]) -> bool:
        targets: dict[str, Target] = self._pool.targets()
        targets |= {one.name: self._pool.target(one) for one in versions}
        upstreams = self._pool.upstreams({target.backend for target in targets.values()})
        written = self._table.write(
            backends=upstreams,
            versions=targets,
            variants={name: one.name for name, one in variants.items()},
        )
        self.upstreams = upstreams
        return written

    def _tell(self, problems: Mapping[str, LlmopsError], resolved: Resolved) -> None:
        """Report each problem once, as long as it is the same."""
        for name, problem in problems.items():
            version = resolved.variants.get(name)
            key = (version.name if version else "", problem.what)
            if self._told.get(name) != key:
                there = self.routed.get(name)
                stays = f"stays on {there.name}" if there else "gets no traffic"
                self._report(f"variant {name} {stays}: {problem}")
            self._told[name] = key
        for name in self._told.keys() - problems.keys():
            del self._told[name]
