"""What the runner asks of a kind of stage, and what it gives it.

The runner knows graphs, fingerprints, attempts and processes; a kind of stage (llmops/stages, one
file each) knows what it reads, what its fingerprint covers and how its output is made.
"""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llmops.data.memory import Inspections
from llmops.data.tokenized import Tokenized
from llmops.data.tokens import TokenCounts
from llmops.engines.catalog import find_engine
from llmops.engines.contract import Command, Engine, Environment, Estimate, Progress
from llmops.environments import machine
from llmops.errors import BadInput
from llmops.registry.store import Registry
from llmops.runner.alarm import Alarm
from llmops.spec.load import Loaded
from llmops.spec.reference import Reference
from llmops.spec.settings import Settings
from llmops.store.cache_paths import CachePaths
from llmops.store.digest import Digests
from llmops.store.memory import Memory
from llmops.store.paths import ProjectPaths
from llmops.store.run_paths import AttemptPaths

if TYPE_CHECKING:
    from llmops.serving.servers import Servers
    from llmops.spec.deployments import Declared


class Made(Protocol):
    """What a stage makes or finds: a model version (registry.locate.Located), a snapshot of
    preferences, a piece of evidence. id: its name for people; digest: sha256 of its content."""

    @property
    def id(self) -> str: ...

    @property
    def digest(self) -> str: ...


@dataclass(frozen=True)
class Input:
    """Something that a stage reads. key: where the declaration says so.

    node: the name of the stage that makes it, when `reference` is `stage:` or `recipe:`.
    """

    reference: Reference
    key: tuple[str | int, ...]
    node: str | None = None


@dataclass(frozen=True)
class Node:
    """One stage of a run: a recipe, or a step that the pipeline itself declares.

    declared: the file for errors; spec: the recipe, or the pipeline's stage.
    """

    name: str
    kind: str
    declared: Loaded[Any]
    spec: Any
    inputs: Mapping[str, Input] = field(default_factory=dict)
    after: tuple[str, ...] = ()

    @property
    def needs(self) -> set[str]:
        """The names of the stages that come first."""
        return {i.node for i in self.inputs.values() if i.node is not None} | set(self.after)


@dataclass(frozen=True)
class Pending:
    """An input that an earlier stage of the same run has yet to make.

    kind: full, adapter, preferences, evidence or alias; model: the name under which it will be
    registered, or the name of what it is; rank: of an adapter, where it is known.
    """

    node: str
    kind: str
    model: str
    shape: Any = None
    """The size of the model that it will be or stand on (engines/shape.py)."""
    rank: int | None = None


@dataclass(frozen=True)
class Prepared:
    """A stage as planned.

    parts: what the fingerprint covers, a digest by name; None while an input is pending.
    found: what is this stage's output already; caution: what to know of it. output: what it makes,
    as later stages see it while it is pending. command: what would run, with placeholders where
    inputs are pending; None for a stage that runs no engine. notes: what a plan shows besides, up
    to date or not. refusal: why a run is not started, though it can be planned. payload: the
    kind's own.
    """

    parts: dict[str, str]
    output: Pending | None = None
    found: Made | None = None
    pending_on: tuple[str, ...] = ()
    done: bool = False
    reasons: tuple[str, ...] = ()
    estimate: Estimate = field(default_factory=Estimate)
    command: Command | None = None
    summary: str = ""
    notes: tuple[str, ...] = ()
    caution: str = ""
    refusal: BadInput | None = None
    payload: Any = None


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Attempt:
    """Where and as what a stage runs. forced: from the beginning, whatever was done before; alarm:
    puts on record what was seen, and the reaction."""

    run: str
    node: Node
    number: int
    paths: AttemptPaths
    report: Report
    forced: bool = False
    alarm: Callable[[Alarm, str], None] = lambda _alarm, _reaction: None


@dataclass
class Context:
    """What stages read from: one project with its registry and engines.

    gpus, gpu_memory: of the machine that is planned for, when it is not this one; bytes of each."""

    settings: Settings
    gpus: int | None = None
    gpu_memory: int | None = None
    _engines: dict[str, Engine] = field(default_factory=dict, repr=False)
    _environments: dict[str, Environment] = field(default_factory=dict, repr=False)

    @cached_property
    def paths(self) -> ProjectPaths:
        return ProjectPaths(self.settings.root)

    @cached_property
    def cache(self) -> CachePaths:
        return CachePaths(self.settings.cache)

    @cached_property
    def cards(self) -> list[machine.Gpu]:
        """This machine's GPUs whose memory is known; asked once, because nvidia-smi is slow."""
        try:
            return [card for card in machine.gpus() if card.total]
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return []

    @cached_property
    def digests(self) -> Digests:
        return Digests(self.paths)

    @cached_property
    def inspections(self) -> Inspections:
        return Inspections(self.paths.inspections, self.digests.file)

    @cached_property
    def tokens(self) -> TokenCounts:
        """How long the samples of data are, as it was counted before."""
        return TokenCounts(self.paths.tokens, self.digests.file)

    @cached_property
    def tokenized(self) -> Tokenized:
        """What engines made of data before."""
        return Tokenized(self.paths.tokenized, self.digests.file)

    @cached_property
    def abilities(self) -> Memory:
        """What suites can show, as it was worked out before."""
        return Memory(self.paths.abilities)

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.paths, self.digests)

    @cached_property
    def deployments(self) -> "Declared":
        """What the project declares to serve."""
        from llmops.spec.deployments import declared

        return declared(self.settings.root)

    @cached_property
    def servers(self) -> "Servers":
        """The deployments that stages use; what they start ends with the run."""
        from llmops.serving.servers import Servers

        return Servers(self.settings)

    def environment(self, engine: str) -> Environment:
        """Raises BadInput when the engine is not installed."""
        from llmops.environments.environment import find

        if engine not in self._environments:
            self._environments[engine] = find(engine, self.settings, self.cache)
        return self._environments[engine]

    def find_engine(self, name: str, where: str) -> Engine:
        """The engine `name`, which `where` names. Raises BadInput for an unknown one."""
        if name not in self._engines:
            cache = self.cache.options
            self._engines[name] = find_engine(name, cache=cache, gpus=self.gpus, where=where)
        return self._engines[name]

    def close(self) -> None:
        """End what was started for a run."""
        if "servers" in self.__dict__:
            self.servers.close()

    def remember(self) -> None:
        """Keep what was found out about files for the next process."""
        self.digests.save()
        self.inspections.save()
        self.abilities.save()
        self.tokens.save()

    def relative(self, path: Path) -> str:
        """The path below the project's root, or as it is."""
        try:
            return str(path.relative_to(self.settings.root))
        except ValueError:
            return str(path)


References = dict[str, tuple[str, tuple[str | int, ...]]]
"""By input name, the text of a reference and the key that says it."""


class Stage(Protocol):
    """One kind of stage. `inputs` and `prepare` only read."""

    kind: str

    def inputs(self, spec: Any) -> References:
        """What it reads; nothing, unless a kind says otherwise."""
        return {}

    def moves(self, spec: Any) -> str | None:
        """The alias that it moves, if any, without the model's name."""
        return None

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        """inputs: by name, what was made or found (Made), or Pending. `after` holds the stages in
        `node.after` that have yet to run, as a tuple of Pending.

        Everything about the stage that can be known without running it."""
        ...

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Made | None:
        """Make the output. Raises Failed, with the cause, when it does not come about, GateRefused
        when evidence is missing, and Waiting when it has yet to come."""
        ...
