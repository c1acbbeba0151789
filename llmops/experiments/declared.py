"""Where an experiment is declared: a deployment in serving/ with an `experiment:` section."""

from collections.abc import Iterator
from dataclasses import dataclass

from llmops.registry.store import Registry
from llmops.serving.declared import find_deployment
from llmops.serving.resolve import Resolver
from llmops.spec.deployment import Deployment, Experiment
from llmops.spec.deployments import declared
from llmops.spec.load import Loaded
from llmops.spec.settings import Settings


@dataclass(frozen=True)
class Pair:
    """What is compared: variant names and the versions that they name now."""

    control: str
    candidate: str
    control_version: str
    candidate_version: str


def find_experiment(name: str, settings: Settings, where: str = "") -> Loaded[Deployment]:
    """The deployment `name`, which declares an experiment. where: who asks, for errors.

    Raises BadInput when there is none, or it compares nothing.
    """
    loaded = find_deployment(name, settings, where=where)
    _comparable(loaded)
    return loaded


def experiments(settings: Settings) -> Iterator[Loaded[Deployment]]:
    """The deployments in serving/ that compare variants. Raises BadInput for a broken file."""
    known = declared(settings.root)
    for problem in known.problems:
        raise problem
    for loaded in known.loaded:
        if loaded.spec.experiment is not None and known.find(loaded.spec.name):
            yield loaded


def _comparable(loaded: Loaded[Deployment]) -> None:
    experiment = loaded.spec.experiment
    if experiment is None:
        raise loaded.bad(
            f"deployment `{loaded.spec.name}` declares no experiment",
            fix="add `experiment: {control: VARIANT, candidate: VARIANT}`",
        )
    if experiment.control == experiment.candidate:
        raise loaded.bad(
            f"the variant `{experiment.control}` is compared with itself",
            ("experiment", "candidate"),
            fix=f"there are: {', '.join(loaded.spec.variants)}",
        )


def candidate_share(deployment: Deployment, experiment: Experiment) -> float | None:
    """The candidate's weight, of the two; None when neither gets any traffic."""
    weights = deployment.traffic.weights or dict.fromkeys(deployment.variants, 1.0)
    control = weights.get(experiment.control, 0.0)
    candidate = weights.get(experiment.candidate, 0.0)
    return candidate / (control + candidate) if control + candidate else None


def current_pair(
    loaded: Loaded[Deployment], experiment: Experiment, registry: Registry
) -> Pair | str:
    """The versions that face each other now, or why none do."""
    resolver = Resolver(loaded, registry, registry.root)
    versions = []
    for name in (experiment.control, experiment.candidate):
        version = resolver.named(name)
        if version is None:
            return f"{name} ({loaded.spec.variants[name].model}) names no version yet"
        versions.append(version)
    if versions[0] == versions[1]:
        return f"control and candidate are the same version, {versions[0]}"
    return Pair(experiment.control, experiment.candidate, versions[0], versions[1])
