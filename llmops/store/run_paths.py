"""The paths of one run, and of one attempt at a stage of it. ProjectPaths.run leads here."""

from dataclasses import dataclass
from pathlib import Path


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

    @property
    def holder(self) -> Path:
        """Which process carries it out for the queue, and how that ended."""
        return self.root / "holder.json"

    @property
    def stop(self) -> Path:
        """Who wants it to end."""
        return self.root / "stop.json"

    @property
    def approvals(self) -> Path:
        return self.root / "approvals"

    def approval(self, stage: str) -> Path:
        """What a person said of a stage that waits for it."""
        return self.approvals / f"{stage}.json"

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
    def samples(self) -> Path:
        """Of an attempt that only shows them: its first samples, as training sees them."""
        return self.root / "samples.json"

    @property
    def phases(self) -> Path:
        """Which phase the stage entered when, as lines of JSON."""
        return self.root / "phases.jsonl"

    @property
    def seals(self) -> Path:
        """What the files of checkpoints were when they had been written."""
        return self.root / "seals"

    def seal(self, checkpoint: str) -> Path:
        return self.seals / f"{checkpoint}.json"

    @property
    def figures(self) -> Path:
        """By step, what the engine's own log leaves out, as lines of JSON."""
        return self.root / "figures.jsonl"

    @property
    def stop(self) -> Path:
        """Why training is to end before its last step: an alarm (runner/alarm.py)."""
        return self.root / "stop.json"

    @property
    def datasets(self) -> Path:
        """The engine's own cache of loaded data."""
        return self.root / "datasets"

    @property
    def tokenized(self) -> Path:
        """Tokenized data while it trains: lent by the cache, or on its way there."""
        return self.root / "tokenized"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"
