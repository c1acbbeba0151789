"""What a training stage needs, against what there is: memory, disk, time and cost, for the plan.

A stage whose weights alone are more than the device has is refused; one whose estimated peak is
more than what is free is warned of. docs/plans.md says how far estimates are off.
"""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from llmops.data.tokens import Lengths
from llmops.engines.contract import (
    DataSet,
    Engine,
    Environment,
    Estimate,
    Memory,
    ModelFiles,
)
from llmops.engines.shape import Shape
from llmops.environments.machine import size_text
from llmops.errors import BadInput, LlmopsError
from llmops.registry.manifest import Manifest
from llmops.runner.stage import Context
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe
from llmops.stages.room import Room, room

START_SECONDS = 8.0
"""What a stage takes before its first step: imports, tokenizing, loading."""
_SHOWN = 0.05
"""Of the peak: parts below it are not named."""
_TOKEN_BYTES = 13
"""Of a tokenized sample on disk: the id in 4 bytes, its label in 8, its mask in 1."""
_NO_ESTIMATE = (
    "memory and disk: no estimate; the base is quantized, sees or hears, or its config.json has "
    "other names for its sizes"
)
_LESS = 0.9
"""Of the estimated peak of what ran out of memory: below it another try is worth it."""


def overridden(changes: Mapping[str, Any]) -> list[str]:
    """As arguments of a command."""
    return [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in changes.items()]


@dataclass(frozen=True)
class Training:
    """A training stage as far as what it needs goes. base: its files, or where they would be;
    shape: None where it is not known; known: lengths of the samples that were counted."""

    recipe: Loaded[TrainRecipe]
    engine: Engine
    environment: Environment | None
    base: ModelFiles
    shape: Shape | None
    data: Sequence[DataSet]
    known: Sequence[Lengths]
    context: Context

    @cached_property
    def gpus(self) -> int:
        return self.engine.gpus(self.environment)

    @cached_property
    def room(self) -> Room | None:
        resources = self.recipe.spec.resources
        return room(self.gpus, resources.while_serving, self.context, resources.devices)

    @cached_property
    def memory(self) -> Memory | None:
        return self._memory(self.recipe)

    @property
    def made(self) -> Shape | None:
        """Of what comes out: an adapter stands on its base; a full model is stored as trained."""
        if self.shape is None or self.recipe.spec.args.get("finetuning_type", "lora") == "lora":
            return self.shape
        weights, _ = self.engine.saved(self.recipe, self.shape)
        return replace(self.shape, bytes_each=round(weights / self.shape.parameters))

    @property
    def problem(self) -> str:
        """Why it cannot or may not fit; empty when it does, or when that is not known."""
        found, there = self.memory, self.room
        if found is None or there is None or self._each(found.peak) <= there.free:
            return ""
        if self.impossible:
            return (
                f"does not fit: its weights and what belongs to them take "
                f"{size_text(self._each(found.certain))} of the {size_text(there.total)} "
                f"{there.name}"
            )
        free = "free" if there.free < there.total else "there"
        told = f"may not fit: {size_text(there.free)} of {there.name} are {free}"
        stopped = room(self.gpus, "stop", self.context, self.recipe.spec.resources.devices)
        if stopped is None or stopped.free <= there.free:
            return told
        return f"{told}, {size_text(stopped.free)} with `resources.while_serving: stop`"

    @property
    def impossible(self) -> bool:
        """Whether it certainly does not fit, however short its samples are."""
        found, there = self.memory, self.room
        if found is None or there is None or found.unknown:
            return False
        return self._each(found.certain) > there.total

    @property
    def refusal(self) -> BadInput | None:
        if not self.impossible:
            return None
        return self.recipe.bad(
            f"this stage {self.problem}",
            ("args",),
            fix="`llmops plan RECIPE --fit` proposes what fits",
        )

    def notes(self) -> tuple[str, ...]:
        """What the plan says of memory, in lines."""
        found = self.memory
        if found is None:
            return (_NO_ESTIMATE,)
        named = sorted(found.parts.items(), key=lambda part: -part[1])
        told = ", ".join(f"{k} {size_text(v)}" for k, v in named if v >= _SHOWN * found.peak)
        unknown = f"; not counted: {', '.join(found.unknown)}" if found.unknown else ""
        return tuple(filter(None, [f"memory: {told}{unknown}", self.problem]))

    def smaller(self) -> Mapping[str, Any] | None:
        """The smallest change that fits, by key: none if it fits as it is. Raises BadInput where
        that is not known, or no change does."""
        if self.memory is None or self.room is None:
            what = "memory of the machine" if self.memory else "size of the base"
            fix = (
                "--gpu-memory GB says it"
                if self.memory
                else "run what makes it first; nothing is estimated of one that is quantized"
            )
            raise self.recipe.bad(f"the {what} is not known", fix=fix)
        if not self.problem:
            return {}
        free = self.room.free
        found = self.engine.smaller(self.recipe, self.gpus, lambda one: self._fits(one, free))
        if found is None:
            raise self.recipe.bad(
                f"no change that is known here fits into {size_text(free)}",
                fix="take a smaller base, or a larger device",
            )
        return found

    def less(self) -> str:
        """For a recipe that ran out of memory: the smallest change with which it takes clearly
        less, as overrides; empty where none is known."""
        if self.memory is None:
            return ""
        most = _LESS * self._each(self.memory.peak)
        found = self.engine.smaller(self.recipe, self.gpus, lambda one: self._fits(one, most))
        return shlex.join(overridden(found or {}))

    def estimate(self, steps: int | None, earlier: Manifest | None) -> Estimate:
        """earlier: the last version that the same recipe made."""
        return Estimate(
            memory=self.memory,
            disk_bytes=self._disk(steps),
            seconds=_seconds(self.recipe.spec, steps, earlier),
            devices=self.recipe.spec.resources.devices,
        )

    def _memory(self, recipe: Loaded[TrainRecipe]) -> Memory | None:
        if self.shape is None:
            return None
        counted = self.known if len(self.known) == len(self.data) else ()
        whole = all(one.samples <= n.rows for one, n in zip(self.data, counted, strict=False))
        longest = max((one.longest for one in counted), default=None) if whole else None
        gpu = bool(self.gpus)
        return self.engine.memory(recipe, self.base, self.shape, longest, gpu=gpu)

    def _fits(self, recipe: Loaded[TrainRecipe], most: float) -> bool:
        """Whether it is a recipe that the engine takes, and needs so many bytes at most."""
        try:
            if self.environment is not None:
                self.engine.check(recipe, self.environment)
            found = self._memory(recipe)
        except LlmopsError:
            return False
        assert found is not None
        return self._each(found.peak, recipe) <= most

    def _each(self, size: int, recipe: Loaded[TrainRecipe] | None = None) -> int:
        """Processes on a CPU share its memory."""
        devices = (recipe or self.recipe).spec.resources.devices
        return size if self.gpus else size * devices

    def _disk(self, steps: int | None) -> int | None:
        """Checkpoints with the optimizer's states, the weights twice (the attempt's own and the
        registered ones), the data as the engine loads it, and its tokens."""
        if self.shape is None or self.memory is None:
            return None
        args = self.recipe.spec.args
        weights, states = self.engine.saved(self.recipe, self.shape)
        checkpoints = _checkpoints(args, steps)
        each = weights + (0 if args.get("save_only_model") else states)
        rows = sum(one.limit or one.samples for one in self.data)
        counted = sum(one.rows for one in self.known)
        tokens = sum(one.tokens for one in self.known) * rows // counted if counted else 0
        loaded = sum(_bytes(one.path) * (1 + one.convert) for one in self.data)
        return 2 * weights + checkpoints * each + loaded + _TOKEN_BYTES * tokens


def _bytes(file: Path) -> int:
    """0 of one that is gone: executing tells."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _checkpoints(args: Mapping[str, Any], steps: int | None) -> int:
    """How many there are at once: one more than are kept, while it is written."""
    strategy = args.get("save_strategy", "steps" if "save_steps" in args else "no")
    if strategy == "no":
        return 1 if args.get("enable_jit_checkpoint") else 0
    made = None
    if strategy == "epoch" and int(args.get("max_steps", -1)) <= 0:
        made = math.ceil(float(args.get("num_train_epochs", 3.0)))
    elif strategy == "steps" and steps:
        every = float(args.get("save_steps", 500))
        made = math.ceil(steps / (every * steps if every < 1 else every))
    # The best one is kept beside the newest.
    kept = int(args.get("save_total_limit") or 0)
    most = max(kept, 2 if args.get("load_best_model_at_end") else 1) + 1 if kept else None
    return min((n for n in (made, most) if n is not None), default=1)


def steps_of(recipe: TrainRecipe, samples: int | None) -> int | None:
    """How many optimizer steps a recipe asks for; None when packing decides, or how many samples
    there are is not known."""
    args = recipe.args
    if int(args.get("max_steps", -1)) > 0:
        return int(args["max_steps"])
    if recipe.packed or samples is None:
        return None
    return math.ceil(
        samples / _batch(args, recipe.resources.devices) * float(args.get("num_train_epochs", 3.0))
    )


def _batch(args: Mapping[str, Any], devices: int) -> int:
    """Samples to an optimizer step."""
    size = int(args.get("per_device_train_batch_size", 8))
    return size * int(args.get("gradient_accumulation_steps", 1)) * devices


def _seconds(recipe: TrainRecipe, steps: int | None, earlier: Manifest | None) -> float | None:
    """From the speed of the last run of the same recipe in this project, by samples: a changed
    batch changes what a step takes."""
    if earlier is None:
        return None
    if not steps:
        runtime = earlier.metrics.get("train_runtime")
        return runtime + START_SECONDS if runtime else None
    speed = earlier.metrics.get("train_samples_per_second")
    samples = steps * _batch(recipe.args, recipe.resources.devices)
    return START_SECONDS + samples / speed if speed else None
