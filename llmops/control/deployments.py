"""Deployments: those that serving/ declares and those that run, in one list."""

from typing import Any

from llmops.serving.state import ServingState, running
from llmops.spec.deployment import Deployment
from llmops.spec.deployments import declared
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths


def deployments(settings: Settings) -> list[dict[str, Any]]:
    """name, file, running, status, url, variants ({name: {model, version, weight}}), problems and
    more of each, by name. A file that does not load is told among its own `problems`."""
    known = declared(settings.root)
    states = {state.name: state for state in running(ProjectPaths(settings.root).serving)}
    found = {}
    for loaded in known.loaded:
        file = str(loaded.path.relative_to(settings.root))
        found[loaded.spec.name] = _declared(loaded.spec, file, states.pop(loaded.spec.name, None))
    for state in states.values():
        found[state.name] = _undeclared(state)
    broken = [_broken(problem.where, str(problem)) for problem in known.problems]
    return [found[name] for name in sorted(found)] + broken


def _declared(spec: Deployment, file: str, state: ServingState | None) -> dict[str, Any]:
    weights = spec.traffic.weights or dict.fromkeys(spec.variants, 1.0)
    versions = state.variants if state else {}
    variants = {
        name: {
            "model": variant.model or variant.upstream,
            "version": versions.get(name),
            "weight": weights.get(name, 0.0),
        }
        for name, variant in spec.variants.items()
    }
    experiment = spec.experiment is not None
    return {**_running(spec.name, file, state), "variants": variants, "experiment": experiment}


def _undeclared(state: ServingState) -> dict[str, Any]:
    """Started from a file elsewhere, or one that is gone."""
    variants = {
        name: {"model": version, "version": version, "weight": None}
        for name, version in state.variants.items()
    }
    return {**_running(state.name, state.file, state), "variants": variants, "experiment": False}


def _running(name: str, file: str, state: ServingState | None) -> dict[str, Any]:
    if state is None:
        return {"name": name, "file": file, "running": False, "status": "stopped", "url": None}
    return {
        "name": name,
        "file": file,
        "running": True,
        "status": state.status,
        "url": None if state.uds else state.url,
        "uds": state.uds,
        "keys": state.keys,
        "started": state.started,
        "restarts": state.restarts,
        "generation": state.generation,
        "server": state.server,
        "waiting": state.waiting,
        "problems": state.problems,
        "backends": {
            base: {"status": backend.status, "versions": backend.versions}
            for base, backend in state.backends.items()
        },
    }


def _broken(where: str, problem: str) -> dict[str, Any]:
    file = where.partition(":")[0]
    return {
        "name": file,
        "file": file,
        "running": False,
        "status": "broken",
        "url": None,
        "variants": {},
        "problems": {"file": problem},
        "experiment": False,
    }
