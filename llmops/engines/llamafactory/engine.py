"""LLaMA-Factory as an Engine: checks, compiles, follows and judges its training stages.

Nothing of it is imported; it runs in an environment of its own (llmops/environments).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmops.engines.contract import (
    BaseJob,
    Cause,
    Command,
    Environment,
    Finished,
    Memory,
    ModelFiles,
    ProgressFollower,
    TrainJob,
)
from llmops.engines.llamafactory.cause import cause
from llmops.engines.llamafactory.chaining import check_chain
from llmops.engines.llamafactory.checkpoint import checkpoints, damage, prune, seal_all
from llmops.engines.llamafactory.checks import check_options
from llmops.engines.llamafactory.compile import compile_base, compile_show, compile_train
from llmops.engines.llamafactory.evidence import finished
from llmops.engines.llamafactory.fit import smaller
from llmops.engines.llamafactory.machine import Machine, this_machine
from llmops.engines.llamafactory.memory import memory
from llmops.engines.llamafactory.optionfiles import FILE_OPTIONS, option_file, zero_of
from llmops.engines.llamafactory.options import OptionSet, option_set
from llmops.engines.llamafactory.progress import Follower
from llmops.engines.llamafactory.watch import check_watch
from llmops.engines.llamafactory.weights import saved
from llmops.engines.shape import Shape
from llmops.environments.machine import nvidia_devices
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe
from llmops.store.run_paths import AttemptPaths


class LlamaFactory:
    """cache: where option sets are remembered (CachePaths.options), None for nowhere.
    machine: what there is to train on; looked at when left out."""

    name = "llamafactory"

    def __init__(self, cache: Path | None = None, machine: Machine | None = None) -> None:
        self._cache = cache
        self._machine = machine
        self._known: dict[Environment, OptionSet] = {}

    def check(self, recipe: Loaded[TrainRecipe], environment: Environment) -> None:
        known = self._known.get(environment)
        if known is None:
            known = self._known[environment] = option_set(environment, self._cache)
        check_options(recipe, known, self._look(environment))
        check_chain(recipe)
        check_watch(recipe)
        self.files(recipe)

    def files(self, recipe: Loaded[TrainRecipe]) -> dict[str, Path]:
        found = {key: option_file(recipe, key) for key in FILE_OPTIONS}
        return {key: file for key, file in found.items() if file is not None}

    def compile_train(self, job: TrainJob, environment: Environment) -> Command:
        return compile_train(job, environment, self._look(environment))

    def compile_base(self, job: BaseJob, environment: Environment) -> Command:
        return compile_base(job, environment, self._look(environment))

    def compile_show(self, job: TrainJob, environment: Environment, count: int) -> Command:
        return compile_show(job, environment, self._look(environment), count)

    def follow(self, attempt: AttemptPaths) -> ProgressFollower:
        return Follower(attempt)

    def finished(self, attempt: AttemptPaths) -> Finished:
        return finished(attempt)

    def checkpoints(self, attempt: AttemptPaths) -> list[tuple[int, Path]]:
        return checkpoints(attempt)

    def damage(self, attempt: AttemptPaths, checkpoint: Path) -> str:
        return damage(attempt, checkpoint)

    def seal(self, attempt: AttemptPaths, *, ended: bool = False) -> None:
        seal_all(attempt, ended=ended)

    def prune(self, attempt: AttemptPaths) -> None:
        prune(attempt)

    def gpus(self, environment: Environment | None) -> int:
        if environment is not None:
            return len(self._look(environment).accelerators)
        return nvidia_devices() if self._machine is None else len(self._machine.accelerators)

    def memory(
        self,
        recipe: Loaded[TrainRecipe],
        base: ModelFiles,
        shape: Shape,
        longest: int | None,
        *,
        gpu: bool,
    ) -> Memory:
        return memory(recipe, base, shape, longest, gpu=gpu)

    def saved(self, recipe: Loaded[TrainRecipe], shape: Shape) -> tuple[int, int]:
        return saved(recipe.spec.args, shape, zero_of(recipe))

    def smaller(
        self,
        recipe: Loaded[TrainRecipe],
        gpus: int,
        fits: Callable[[Loaded[TrainRecipe]], bool],
    ) -> dict[str, Any] | None:
        machine = self._machine
        return smaller(recipe, gpus, fits, machine.lacks if machine else lambda package: False)

    def cause(self, attempt: AttemptPaths) -> Cause:
        return cause(attempt.log)

    def _look(self, environment: Environment) -> Machine:
        if self._machine is None:
            self._machine = this_machine(environment.site)
        return self._machine
