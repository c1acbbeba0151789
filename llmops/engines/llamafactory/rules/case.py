"""What a rule sees."""

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmops.engines.llamafactory.defaults import in_group
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.optionfiles import option_object, zero_of
from llmops.engines.llamafactory.options import OptionSet
from llmops.errors import BadInput
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe


@dataclass(frozen=True)
class Case:
    """A recipe whose options have known names, fit types and listed values, where it runs, and
    what the engine knows."""

    recipe: Loaded[TrainRecipe]
    machine: Machine
    known: OptionSet

    @property
    def stage(self) -> str:
        return self.recipe.spec.stage

    @property
    def args(self) -> dict[str, Any]:
        return self.recipe.spec.args

    @property
    def method(self) -> str:
        return str(self.args.get("finetuning_type", "lora"))

    def default(self, key: str) -> Any:
        """The engine's; None where it is computed or the engine knows no such option."""
        option = self.known.options.get(key)
        return option.default if option is not None else None

    @property
    def devices(self) -> int:
        return self.recipe.spec.resources.devices

    def mapping(self, key: str) -> dict[str, Any]:
        """An option that is a mapping or one as JSON text; empty when it is unset."""
        given = self.args.get(key)
        if isinstance(given, str):
            with suppress(ValueError):
                given = json.loads(given)
        if given is not None and not isinstance(given, dict):
            raise self.bad(
                key, f"`{given}` is not a mapping", fix=f"write `{key}: {{name: value}}`"
            )
        return given or {}

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
