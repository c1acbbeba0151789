"""Every path that llmops writes to. Nothing else in the package builds one."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProjectPaths:
    """The state of one project, below `.llmops/` in its root."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / ".llmops"

    @property
    def runs(self) -> Path:
        return self.state / "runs"

    @property
    def models(self) -> Path:
        return self.state / "models"

    @property
    def cache(self) -> Path:
        return self.state / "cache"

    @property
    def serving(self) -> Path:
        return self.state / "serving"

    @property
    def locks(self) -> Path:
        return self.state / "locks"

    def lock(self, name: str) -> Path:
        """A lock file between processes. name: what is locked, e.g. `model-town`."""
        return self.locks / f"{name}.lock"

    @property
    def digests(self) -> Path:
        """Remembered file hashes."""
        return self.cache / "digests.json"

    @property
    def inspections(self) -> Path:
        """Remembered checks of data files."""
        return self.cache / "inspections.json"

    def run(self, run: str) -> "RunPaths":
        return RunPaths(self.runs / run)

    def model(self, name: str) -> Path:
        return self.models / name

    def version(self, name: str, number: int) -> Path:
        return self.models / name / f"v{number}"

    def aliases(self, name: str) -> Path:
        """The aliases of a model and every move of theirs, oldest first."""
        return self.models / name / "aliases.jsonl"

    def deployment(self, name: str) -> "DeploymentPaths":
        return DeploymentPaths(self.serving / name)


@dataclass(frozen=True)
class RunPaths:
    """One run: its record, its plan, and a directory for each attempt at a stage."""

    root: Path

    @property
    def record(self) -> Path:
        return self.root / "run.json"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    def attempt(self, stage: str, number: int) -> "AttemptPaths":
        return AttemptPaths(self.root / stage / str(number))


@dataclass(frozen=True)
class AttemptPaths:
    """One attempt at a stage: what it was given, what it said, what it made."""

    root: Path

    @property
    def record(self) -> Path:
        """The fingerprint of what is attempted."""
        return self.root / "attempt.json"

    @property
    def log(self) -> Path:
        """Standard output and error of the engine, as they came."""
        return self.root / "log.txt"

    @property
    def output(self) -> Path:
        """The engine's output directory."""
        return self.root / "output"

    @property
    def result(self) -> Path:
        """What is registered from: files made from the output (a concatenated adapter, ...)."""
        return self.root / "result"

    @property
    def golden(self) -> Path:
        """Golden prompts with token ids and log-probabilities, from the training engine."""
        return self.root / "golden.json"

    @property
    def phases(self) -> Path:
        """Which phase the stage entered when, as lines of JSON."""
        return self.root / "phases.jsonl"

    @property
    def datasets(self) -> Path:
        """The engine's own cache of loaded data."""
        return self.root / "datasets"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"


@dataclass(frozen=True)
class DeploymentPaths:
    """What a running deployment keeps: its state, its log, its private copies of versions."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def log(self) -> Path:
        return self.root / "backend.log"

    @property
    def copies(self) -> Path:
        return self.root / "copies"

    @property
    def lock(self) -> Path:
        return self.root / "lock"


@dataclass(frozen=True)
class CachePaths:
    """The user's cache, shared between projects: engine environments."""

    root: Path

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    def environment(self, key: str) -> Path:
        """The finished environment of one lock; `key` names engine, version and lock hash."""
        return self.environments / key

    def building(self, key: str) -> Path:
        """Where that environment is built before it is moved in."""
        return self.environments / f".building-{key}"

    def lock(self, key: str) -> Path:
        return self.environments / f".{key}.lock"

    def log(self, key: str) -> Path:
        """What pip said while that environment was built."""
        return self.environments / f".{key}.log"

    @property
    def pythons(self) -> Path:
        """What was found in environments of the user's own, by interpreter."""
        return self.root / "pythons.json"

    @property
    def options(self) -> Path:
        """Option sets read from engine sources, by engine version."""
        return self.root / "options"
