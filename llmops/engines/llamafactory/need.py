"""What the estimate of memory knows of a training, and how wide its values are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmops.engines.llamafactory.defaults import SMALL_BYTES
from llmops.engines.shape import Shape


@dataclass(frozen=True)
class Need:
    """length: tokens of a sample; compared: whether the loss refers to a model that is not trained;
    reference: whether that one is loaded beside the other; evaluated: tokens of a sample of the
    validation data, 0 without; zero: DeepSpeed's `zero_optimization`, empty without it."""

    args: Mapping[str, Any]
    stage: str
    devices: int
    shape: Shape
    length: int
    gpu: bool
    compared: bool
    reference: bool
    evaluated: int
    zero: Mapping[str, Any]

    @property
    def method(self) -> str:
        return str(self.args.get("finetuning_type", "lora"))

    @property
    def pairs(self) -> int:
        """Samples that go through the model for one of the data."""
        return 2 if self.stage in ("dpo", "rm") else 1

    @property
    def checkpointing(self) -> bool:
        """Whether layers are computed again: the engine's default, but for small models llmops'."""
        small = self.shape.parameters * self.shape.bytes_each < SMALL_BYTES
        return not self.args.get("disable_gradient_checkpointing", small)

    def sharded(self, stage: int) -> int:
        """Among how many devices ZeRO divides what it divides from `stage` on."""
        return self.devices if int(self.zero.get("stage", 0)) >= stage else 1


@dataclass(frozen=True)
class Precision:
    """frozen, trained: bytes of a weight, with the copy in half precision that autocast keeps;
    gradient: of its gradient; state: of an optimizer's value; master: of the float32 weight that
    DeepSpeed keeps with it; mixed: autocast is on."""

    frozen: int
    trained: int
    gradient: int
    state: int
    master: int = 0
    mixed: bool = False


def precision(args: Mapping[str, Any], shape: Shape, zero: Mapping[str, Any]) -> Precision:
    """LLaMA-Factory loads weights in the width that they are stored in, and trains in float32
    unless `pure_bf16` (model/loader.py, model/adapter.py)."""
    stored = min(4, shape.bytes_each)
    half = bool(args.get("bf16") or args.get("fp16"))
    if args.get("pure_bf16"):
        return Precision(frozen=stored, trained=stored, gradient=stored, state=stored)
    if half and zero:
        return Precision(frozen=2, trained=2, gradient=2, state=4, master=4, mixed=True)
    return Precision(frozen=stored, trained=4 + 2 * half, gradient=4, state=4, mixed=half)
