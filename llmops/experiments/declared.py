"""Where an experiment is declared: a deployment in serving/ with an `experiment:` section."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmops.errors import BadInput
from llmops.registry.store import Registry
from llmops.serving.resolve import Resolver
from llmops.serving.state import last_state
from llmops.spec.deployment import Deployment, Experiment
from llmops.spec.load import Loaded, load_deployment
from llmops.spec.settings import Settings
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths


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
    readable, broken = [], []
    for file in _files(name, settings.root):
        try:
            loaded = load_deployment(file)
        except BadInput as error:
            broken.append(error)
            continue
        if loaded.spec.name == name:
            _comparable(loaded)
            return loaded
        readable.append(loaded.spec.name)
    fix = did_you_mean(name, readable) or "declare it in serving/"
    if broken:
        fix += f"\n  {broken[0]}"
    raise BadInput(f"there is no deployment `{name}` in serving/", where=where, fix=fix)


def experiments(settings: Settings) -> Iterator[Loaded[Deployment]]:
    """The deployments in serving/ that compare variants. Raises BadInput for a broken file."""
    for file in _files(None, settings.root):
        loaded = load_deployment(file)
        if loaded.spec.experiment is not None:
            yield loaded


def _files(name: str | None, root: Path) -> list[Path]:
    """The project's deployments, and the file that a deployment elsewhere was started from."""
    files = sorted((root / "serving").glob("*.y*ml"))
    state = last_state(ProjectPaths(root).deployment(name)) if name else None
    if state is not None and state.file and (root / state.file).is_file():
        files.append(root / state.file)
    return [file for file in files if "\nvariants:" in file.read_text(encoding="utf-8")]


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
    declared: Loaded[Deployment], experiment: Experiment, registry: Registry
) -> Pair | str:
    """The versions that face each other now, or why none do."""
    resolver = Resolver(declared, registry, registry.root)
    versions = []
    for name in (experiment.control, experiment.candidate):
        version = resolver.named(name)
        if version is None:
            return f"{name} ({declared.spec.variants[name].model}) names no version yet"
        versions.append(version)
    if versions[0] == versions[1]:
        return f"control and candidate are the same version, {versions[0]}"
    return Pair(experiment.control, experiment.candidate, versions[0], versions[1])
