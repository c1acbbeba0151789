"""What a rule sees."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmops.engines.llamafactory.defaults import in_group
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.optionfiles import option_object, zero_of
from llmops.errors import BadInput
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe


@dataclass(frozen=True)
class Case:
    """A recipe whose options have known names, fit types and listed values, and where it runs.
    defaults: the engine's, by option; None for one that is computed."""

    recipe: Loaded[TrainRecipe]
    machine: Machine
    defaults: dict[str, Any]

    @property
    def stage(self) -> str:
        return self.recipe.spec.stage

    @property
    def args(self) -> dict[str, Any]:
        return self.recipe.spec.args

    @property
    def method(self) -> str:
        return str(self.args.get("finetuning_type", "lora"))

    @property
    def devices(self) -> int:
        return self.recipe.spec.resources.devices

    @cached_property
    def deepspeed(self) -> dict[str, Any] | None:
        """DeepSpeed's config, from wherever it is; None without it, and for a file that is not
        there, which is said elsewhere."""
        if not self.args.get("deepspeed"):
            return None
        try:
            return option_object(self.recipe, "deepspeed")
        except BadInput:
            return None

    @property
    def zero3(self) -> bool:
        return bool(self.deepspeed) and zero_of(self.recipe).get("stage") == 3

    @property
    def distributed(self) -> bool:
        return in_group(self.recipe.spec)

    def bad(self, key: str, what: str, fix: str = "") -> BadInput:
        """The error at the option `key`."""
        return self.recipe.bad(what, ("args", key), fix=fix)
