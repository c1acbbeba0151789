"""Every path below a project that llmops writes to; those of a run are in run_paths.py, those in
the user's cache in cache_paths.py. Nothing else in the package builds one."""

from dataclasses import dataclass
from pathlib import Path

from llmops.store.run_paths import RunPaths


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

    @property
    def journal(self) -> Path:
        """What gateways write: a directory for each writer, with segments of JSON lines."""
        return self.state / "journal"

    def damaged(self, writer: str, segment: str) -> Path:
        """Lines of a segment of the journal that could not be read, as they were."""
        return self.state / "damaged" / writer / segment

    @property
    def database(self) -> Path:
        """The default database: the index of the journal."""
        return self.state / "llmops.db"

    @property
    def secret(self) -> Path:
        """The project's secret: signs inference ids and hides users."""
        return self.state / "secret"

    @property
    def keys(self) -> Path:
        """API keys of the gateways, hashed."""
        return self.state / "keys.json"

    @property
    def preferences(self) -> Path:
        """Snapshots of preference pairs, by name."""
        return self.state / "preferences"

    def snapshots(self, name: str) -> Path:
        """The snapshots of preference pairs of one name, each a numbered directory."""
        return self.preferences / name

    @property
    def yields(self) -> Path:
        """What each preference recipe made of the log, as long as the log stays as it is."""
        return self.cache / "preferences.json"

    @property
    def verdicts(self) -> Path:
        """What judges said of sampled answers, as lines of JSON."""
        return self.cache / "verdicts.jsonl"

    @property
    def evaluations(self) -> Path:
        """Results of evaluations: reports by version, and the answers that were given."""
        return self.state / "evaluations"

    def evaluation(self, name: str, number: int, key: str) -> Path:
        """The directory of one evaluation of a version."""
        return self.evaluations / name / f"v{number}" / key

    def answers(self, key: str) -> Path:
        """The answers of one version (or one judge), asked in one way; a line for each prompt."""
        return self.evaluations / ".answers" / f"{key}.jsonl"

    @property
    def experiments(self) -> Path:
        """Reports of experiments that decided something."""
        return self.state / "experiments"

    def simulation(self, fingerprint: str) -> Path:
        """The record of a finished simulation."""
        return self.state / "simulations" / f"{fingerprint}.json"

    def evidence(self, name: str) -> Path:
        """The evidence about the versions of a model, oldest first."""
        return self.models / name / "evidence.jsonl"

    def notes(self, name: str) -> Path:
        """Tags of the versions of a model and notes about them, oldest first."""
        return self.models / name / "notes.jsonl"

    def remote(self, name: str) -> Path:
        """What was seen of a model's repository on the Hub."""
        return self.models / name / "remote.json"

    def pulled(self, name: str, digest: str) -> Path:
        """A version that is being pulled: what came of it so far."""
        return self.models / name / f".pull-{digest}"

    @property
    def outbox(self) -> Path:
        """Pushes that wait for the Hub, a file each."""
        return self.state / "outbox"

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

    @property
    def tokens(self) -> Path:
        """Remembered lengths of samples in tokens."""
        return self.cache / "tokens.json"

    @property
    def tokenized(self) -> Path:
        """Tokenized data of trainings, a directory for each key (data/tokenized.py)."""
        return self.cache / "tokenized"

    @property
    def abilities(self) -> Path:
        """Remembered abilities of suites to show what a gate asks for."""
        return self.cache / "abilities.json"

    @property
    def logs(self) -> Path:
        """What processes say that outlive whoever started them; one file each."""
        return self.state / "logs"

    def run_log(self, run: str) -> Path:
        """What a run says that no terminal hears."""
        return self.logs / f"run-{run}.log"

    def part_log(self, name: str) -> Path:
        """What a part says that `llmops up` keeps."""
        return self.logs / f"{name}.log"

    def serve_log(self, deployment: str) -> Path:
        """What a supervisor says that the control process started."""
        return self.logs / f"serve-{deployment}.log"

    def part(self, name: str) -> Path:
        """Who is the project's `control`, `ui` or `up`, and where it answers."""
        return self.state / "parts" / f"{name}.json"

    def run(self, run: str) -> RunPaths:
        return RunPaths(self.runs / run)

    def model(self, name: str) -> Path:
        return self.models / name

    def version(self, name: str, number: int) -> Path:
        return self.models / name / f"v{number}"

    def index(self, name: str) -> Path:
        """What was remembered of a model's versions (registry/index.py)."""
        return self.cache / "models" / f"{name}.json"

    def aliases(self, name: str) -> Path:
        """The aliases of a model and every move of theirs, oldest first."""
        return self.models / name / "aliases.jsonl"

    def deployment(self, name: str) -> "DeploymentPaths":
        return DeploymentPaths(self.serving / name)


@dataclass(frozen=True)
class DeploymentPaths:
    """What a running deployment keeps: its state and routes, its logs, its copies of versions."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def log(self) -> Path:
        return self.root / "backend.log"

    def backend_log(self, number: int) -> Path:
        """Of the deployment's first backend, second, ..."""
        return self.log if number == 1 else self.root / f"backend-{number}.log"

    def backend_socket(self, number: int) -> Path:
        """Where that backend listens."""
        return self.root / f"backend-{number}.sock"

    @property
    def closed(self) -> Path:
        """A socket that nothing ever listens on: where a backend leads that is not ready."""
        return self.root / "closed.sock"

    @property
    def supervisor_log(self) -> Path:
        """What a supervisor said that was started for a run."""
        return self.root / "serve.log"

    @property
    def gateway_log(self) -> Path:
        return self.root / "gateway.log"

    def replica_log(self, place: str) -> Path:
        """Of one more gateway, by its port or its socket's name."""
        return self.root / f"gateway-{place}.log"

    @property
    def routes(self) -> Path:
        """What the gateway follows (llmops/gateway/routes.py)."""
        return self.root / "routes.json"

    @property
    def generations(self) -> Path:
        """What each generation of the routes said, for whoever analyses exposures."""
        return self.root / "generations.jsonl"

    @property
    def wanted(self) -> Path:
        """Versions that others ask the supervisor to load, a file for each asker."""
        return self.root / "wanted"

    @property
    def hold(self) -> Path:
        """Who asks the supervisor to give the device back for a while."""
        return self.root / "hold.json"

    @property
    def copies(self) -> Path:
        return self.root / "copies"

    @property
    def lock(self) -> Path:
        return self.root / "lock"


@dataclass(frozen=True)
class WriterPaths:
    """What one process wrote to the journal: numbered segments, and who it is."""

    root: Path

    @property
    def process(self) -> Path:
        """Which process writes here; locked for as long as it lives."""
        return self.root / "writer.json"

    @property
    def closed(self) -> Path:
        """The number of the last segment that is finished."""
        return self.root / "closed"

    def segment(self, number: int) -> Path:
        return self.root / f"{number:08d}.jsonl"
