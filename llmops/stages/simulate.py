"""`kind: simulate`: simulated users visit a deployment and rate its answers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.engines.contract import Progress
from llmops.errors import Failed
from llmops.gateway.routes import read_routes
from llmops.runner.fingerprint import changes, fingerprint
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared, Stage
from llmops.serving.resolve import Resolver
from llmops.simulation.prompts import Prompt, read_prompts
from llmops.simulation.record import SimulationRecord, find_simulation, keep, simulations
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded, load_deployment
from llmops.spec.simulation import SimulateRecipe
from llmops.store.digest import sha256_json
from llmops.store.facts import flatten
from llmops.store.paths import DeploymentPaths

if TYPE_CHECKING:
    from llmops.simulation.crowd import Outcome

ROUTED_WITHIN = 120.0
"""Seconds in which a deployment must have routed the versions that its aliases name."""
REPORT_SECONDS = 0.5

_VERSION = "version of "
Versions = dict[str, str | None]


@dataclass(frozen=True)
class _Payload:
    file: Path
    deployment: Loaded[Deployment]
    prompts: list[Prompt]
    versions: Versions


class Simulate(Stage):
    """The stage kind of recipes that simulate users."""

    kind = "simulate"

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        recipe: SimulateRecipe = node.spec
        file = _file(node, "deployment", context)
        prompts = _file(node, "prompts", context)
        deployment = load_deployment(file)
        waiting: tuple[Pending, ...] = inputs.get("after", ())
        # What the variants name may be what those stages make.
        versions = {} if waiting else versions_behind(deployment, context)
        parts = _parts(recipe, context.digests.file(prompts), deployment.spec.name, versions)
        found = None if waiting else find_simulation(fingerprint(parts), context.paths)
        if found is None:
            from llmops.simulation.visitor import require_client

            require_client()
        return Prepared(
            parts=parts,
            output=Pending(node.name, "simulation", recipe.name),
            found=found,
            pending_on=tuple(one.node for one in waiting),
            done=found is not None,
            reasons=() if found else _why_not(parts, node, context),
            summary=_summary(recipe, deployment.spec.name, versions),
            payload=_Payload(file, deployment, read_prompts(prompts), versions),
        )

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> SimulationRecord:
        from llmops.simulation.crowd import visit_all
        from llmops.simulation.population import visits
        from llmops.simulation.visitor import Visitor

        recipe: SimulateRecipe = attempt.node.spec
        payload: _Payload = prepared.payload
        reached = context.servers.reach(payload.file, attempt.report)
        _await_routes(reached.paths, payload.versions)
        planned = visits(recipe, payload.prompts, sha256_json(payload.versions))
        started = time.time()
        visitor = Visitor(reached.endpoint, reached.name, recipe, payload.prompts)
        try:
            report = _counted(attempt, len(planned))
            outcome = visit_all(visitor, planned, recipe.concurrency, report)
        finally:
            visitor.close()
        file = context.relative(attempt.node.declared.path)
        record = _record(prepared, attempt, outcome, started, file)
        keep(record, context.paths)
        return record


def _record(
    prepared: Prepared, attempt: Attempt, outcome: "Outcome", started: float, file: str
) -> SimulationRecord:
    recipe: SimulateRecipe = attempt.node.spec
    payload: _Payload = prepared.payload
    return SimulationRecord(
        name=recipe.name,
        fingerprint=fingerprint(prepared.parts),
        run=attempt.run,
        deployment=payload.deployment.spec.name,
        versions=payload.versions,
        users=recipe.users.number,
        visits=outcome.visits,
        answers=dict(outcome.answers),
        events=dict(outcome.events),
        failed=outcome.failed,
        started=started,
        ended=time.time(),
        last_event=outcome.last_event,
        recipe=file,
        stage=attempt.node.name,
        parts=prepared.parts,
    )


def _why_not(parts: Mapping[str, str], node: Node, context: Context) -> tuple[str, ...]:
    """What changed since the same stage simulated last; which versions it will meet is not known
    while they are made."""
    mine = context.relative(node.declared.path), node.name
    known = reversed(simulations(context.paths))
    earlier = next((one for one in known if one.parts and (one.recipe, one.stage) == mine), None)
    if earlier is None:
        return ("never run",)
    before = {key: one for key, one in earlier.parts.items() if key in parts or not _is_met(key)}
    return changes(before, parts)


def _is_met(part: str) -> bool:
    return part.startswith(_VERSION)


def versions_behind(deployment: Loaded[Deployment], context: Context) -> Versions:
    """What each variant names now; None for an alias that names nothing yet."""
    resolver = Resolver(deployment, context.registry, context.settings.root)
    return {name: resolver.named(name) for name in deployment.spec.variants}


def _file(node: Node, key: str, context: Context) -> Path:
    """The file that the recipe names under `key`."""
    return node.declared.file(getattr(node.spec, key), (key,), context.settings.root)


def _parts(recipe: SimulateRecipe, prompts: str, name: str, versions: Versions) -> dict[str, str]:
    """What the fingerprint covers."""
    said = flatten(recipe.model_dump(exclude={"prompts", "deployment", "concurrency"}))
    return {
        **{key: str(value) for key, value in said.items()},
        "prompts": prompts,
        "deployment": name,
        **{f"{_VERSION}{variant}": str(version) for variant, version in versions.items()},
    }


def _summary(recipe: SimulateRecipe, deployment: str, versions: Versions) -> str:
    text = f"{recipe.visits:,} visits of {recipe.users.number:,} simulated users to {deployment}"
    behind = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return f"{text} ({behind})" if behind else text


def _await_routes(paths: DeploymentPaths, versions: Versions) -> None:
    """Until the gateway's table says what the aliases say: a move takes a moment to arrive."""
    wanted = {name: version for name, version in versions.items() if version is not None}
    deadline = time.monotonic() + ROUTED_WITHIN
    while True:
        table = read_routes(paths.routes)
        routed = {name: v.version for name, v in table.variants.items()} if table else {}
        if all(routed.get(name) == version for name, version in wanted.items()):
            return
        if time.monotonic() > deadline:
            raise Failed(
                f"the deployment does not route what its aliases name: it routes {routed}, "
                f"the aliases name {wanted}",
                fix="the deployment's log tells why: `llmops serve` prints it",
            )
        time.sleep(0.05)


def _counted(attempt: Attempt, total: int) -> Callable[[int], None]:
    """A report of the visits made, not at each."""
    shown = 0.0

    def report(count: int) -> None:
        nonlocal shown
        if count == total or time.monotonic() - shown >= REPORT_SECONDS:
            shown = time.monotonic()
            attempt.report(Progress("visits", count, total))

    return report
