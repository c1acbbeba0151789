"""What the runner asks of a training engine.

An engine compiles a job purely into files, argv and environment (a `Command`); the runner starts
it, follows its progress, and asks it for the evidence that it finished. Nothing here imports an
engine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from llmops.engines.shape import Shape
from llmops.spec.load import Loaded
from llmops.spec.recipe import BaseRecipe, Layout, TrainRecipe
from llmops.store.run_paths import AttemptPaths


@dataclass(frozen=True)
class Environment:
    """An installed engine environment. version: the engine's; python: its interpreter;
    own: the user's own rather than one that llmops built; site: its site-packages."""

    engine: str
    version: str
    python: Path
    site: Path
    own: bool = False


@dataclass(frozen=True)
class ModelFiles:
    """Where a model lies: a full model's directory and, for an adapter version, the adapter's.
    rank: of an adapter that is yet to be made, where it is known."""

    directory: Path
    adapter: Path | None = None
    rank: int | None = None


@dataclass(frozen=True)
class DataSet:
    """A checked data file. columns: the layout's column -> the file's own column.
    samples: rows that train. sha256: of the file."""

    path: Path
    layout: Layout
    columns: dict[str, str]
    samples: int
    sha256: str
    limit: int | None = None
    first_prompts: tuple[Any, ...] = ()
    """Up to 4 prompts, for golden prompts: a list of messages (role, content), or a text."""
    convert: bool = False
    """The engine's loader would misread the file: a converted copy is compiled instead."""
    same_answers: int = 0
    """Preference pairs whose two answers are the same; they teach nothing."""
    reference: str = ""
    """What the recipe names it by; of a snapshot of preferences with its number."""
    snapshot: str = ""
    """The digest of the snapshot that it is a part of."""
    licence: str | None = None
    """As its source names it; None: unknown."""


@dataclass(frozen=True)
class TrainJob:
    """One training stage with everything resolved."""

    recipe: Loaded[TrainRecipe]
    base: ModelFiles
    train: Sequence[DataSet]
    validation: Sequence[DataSet] | float | None
    attempt: AttemptPaths
    golden: Sequence[Any] = ()
    """Golden prompts to compute: each a list of messages, or a text."""
    resume: Path | None = None
    """A checkpoint of an earlier attempt at the same thing, to go on from."""
    tokenized: Path | None = None
    """Tokenized data to read instead of the data files."""
    keep: "Keep | None" = None
    """Where to leave what the engine tokenizes."""


@dataclass(frozen=True)
class Keep:
    """folder: that appears whole, or not at all; spare: bytes that are to stay free on its disk."""

    folder: Path
    spare: int = 0


@dataclass(frozen=True)
class BaseJob:
    """A base model to make from scratch. texts: checked data of layout `text` (or any layout,
    whose strings are used)."""

    recipe: Loaded[BaseRecipe]
    texts: Sequence[DataSet]
    attempt: AttemptPaths
    golden: Sequence[Any] = ()


@dataclass(frozen=True)
class Command:
    """A compiled job. files: text by path relative to the attempt's directory; copies: data that is
    converted on its way there, by such a path; env: additions to the environment. argv[0] is an
    absolute path. notes: what it does to models, in words. tokens: what decides the tokens of its
    data, besides the base's own files; None where tokenized data cannot be kept. rank: of the
    adapter that comes out; None for a full model, and where it is not known yet."""

    argv: list[str]
    env: dict[str, str]
    files: dict[str, str]
    notes: tuple[str, ...] = ()
    copies: Mapping[str, DataSet] = field(default_factory=dict)
    tokens: Mapping[str, Any] | None = None
    rank: int | None = None


@dataclass(frozen=True)
class Progress:
    """One reading of a running stage. phase: starting, training, saving, checking, ...;
    tokens_per_s, remaining_s and elapsed_s as the engine reports them."""

    phase: str
    step: int = 0
    total: int = 0
    loss: float | None = None
    learning_rate: float | None = None
    tokens_per_s: float | None = None
    remaining_s: float | None = None
    elapsed_s: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    warning: str = ""
    """Something that the user should know while there is time."""


class ProgressFollower(Protocol):
    """Follows the files that a running attempt writes."""

    def poll(self) -> list[Progress]:
        """What is new since the last call, oldest first."""
        ...


@dataclass(frozen=True)
class Cause:
    """Why an attempt failed, as far as its log tells; text may be empty. kind: `passing` for what
    may be gone at the next try, `memory` for too little of it, else empty."""

    text: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Finished:
    """The evidence that a stage finished. directory: what is to be registered from; kind: full or
    adapter; metrics: the engine's last figures."""

    directory: Path
    kind: str
    metrics: dict[str, float]
    lora_rank: int | None = None
    stopped: str = ""
    """Why training ended before its last step, and what was kept; empty when it took them all."""


@dataclass(frozen=True)
class Memory:
    """What training needs of one device at its peak. parts: bytes by name; turns: gradients come
    when activations and logits go, so that the larger counts; unknown: what is not counted."""

    parts: Mapping[str, int]
    turns: bool = False
    unknown: tuple[str, ...] = ()

    @property
    def peak(self) -> int:
        gone = self.parts.get("activations", 0) + self.parts.get("logits", 0)
        both = min(gone, self.parts.get("gradients", 0)) if self.turns else 0
        return sum(self.parts.values()) - both

    @property
    def certain(self) -> int:
        """Bytes that no step can do without, however short its samples are."""
        fixed = ("weights", "gradients", "optimizer", "reference model")
        return sum(self.parts.get(name, 0) for name in fixed)


@dataclass(frozen=True)
class Estimate:
    """What a stage will need, roughly. None where unknown. devices: that it takes."""

    memory: Memory | None = None
    disk_bytes: int | None = None
    seconds: float | None = None
    devices: int = 1


class Engine(Protocol):
    """A training engine. Compiling and checking only read."""

    name: str

    def check(self, recipe: Loaded[TrainRecipe], environment: Environment) -> None:
        """Raises BadInput, by key and line, when the options do not fit this engine version."""
        ...

    def files(self, recipe: Loaded[TrainRecipe]) -> dict[str, Path]:
        """By option, the files that the recipe's options name. Raises BadInput for one that is not
        there."""
        ...

    def compile_train(self, job: TrainJob, environment: Environment) -> Command: ...

    def compile_base(self, job: BaseJob, environment: Environment) -> Command: ...

    def compile_show(self, job: TrainJob, environment: Environment, count: int) -> Command:
        """What writes the first samples of a stage to `attempt.samples`, as training sees them
        (engines/llamafactory/worker/show.py)."""
        ...

    def follow(self, attempt: AttemptPaths) -> ProgressFollower: ...

    def finished(self, attempt: AttemptPaths) -> Finished:
        """Raises Failed, with the cause, unless the files prove that the stage finished."""
        ...

    def checkpoints(self, attempt: AttemptPaths) -> list[tuple[int, Path]]:
        """Those of an attempt that did not finish, by their steps."""
        ...

    def damage(self, attempt: AttemptPaths, checkpoint: Path) -> str:
        """Why training cannot go on from it, in words; empty when it can. Reads all of it."""
        ...

    def seal(self, attempt: AttemptPaths, *, ended: bool = False) -> None:
        """Note what the checkpoints that were written since are, for `damage`. ended: nobody writes
        them any more."""
        ...

    def prune(self, attempt: AttemptPaths) -> None:
        """Remove what an attempt no longer needs once its result is registered."""
        ...

    def gpus(self, environment: Environment | None) -> int:
        """How many the machine that is planned for gives to training."""
        ...

    def memory(
        self,
        recipe: Loaded[TrainRecipe],
        base: ModelFiles,
        shape: Shape,
        longest: int | None,
        *,
        gpu: bool,
    ) -> Memory:
        """longest: tokens of the longest sample, None where it is not known."""
        ...

    def saved(self, recipe: Loaded[TrainRecipe], shape: Shape) -> tuple[int, int]:
        """Bytes on disk: of the weights, and of what a checkpoint has beside them."""
        ...

    def smaller(
        self,
        recipe: Loaded[TrainRecipe],
        gpus: int,
        fits: Callable[[Loaded[TrainRecipe]], bool],
    ) -> dict[str, Any] | None:
        """The smallest change that fits, as overrides by key; None when none is known."""
        ...

    def cause(self, attempt: AttemptPaths) -> Cause:
        """The most likely cause of a failure, read from the attempt's log."""
        ...
