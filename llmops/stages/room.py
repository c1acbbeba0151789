"""The memory that a training stage finds: the machine's, or of the GPUs that it gets, with what is
served on them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from llmops.environments import machine
from llmops.runner.stage import Context
from llmops.serving.memory import resident
from llmops.serving.state import running

_BACK = 0.95
"""Of a GPU, when what is served on it gives it back."""


@dataclass(frozen=True)
class Room:
    """Memory of a device, in bytes. free: now, or once what is served on it has let go of it."""

    name: str
    total: int
    free: int


def room(gpus: int, mode: str, context: Context, devices: int = 1) -> Room | None:
    """What a stage on so many devices with `while_serving: MODE` finds; None where it is not
    known."""
    served = [one for one in running(context.paths.serving) if one.own]
    # What is refused beside a server runs when there is none.
    goes = bool(served) and mode != "share"
    if not gpus:
        total, free = machine.memory()
        back = [resident(b.pid) or 0 for s in served for b in s.backends.values() if b.pid]
        return Room("memory", total, free + sum(back) * goes)
    if context.gpu_memory is not None:
        return Room("GPU", context.gpu_memory, context.gpu_memory)
    if context.gpus is not None:
        return None
    if not context.cards:
        return None
    least = min(_used(context.cards, devices), key=lambda card: card.free)
    return Room("GPU", least.total, int(least.total * _BACK) if goes else least.free)


def _used(cards: Sequence[machine.Gpu], devices: int) -> Sequence[machine.Gpu]:
    """Those of the machine's that training gets: the first that this process may use."""
    ids = machine.visible_gpus(len(cards), os.environ.get("CUDA_VISIBLE_DEVICES"))[:devices]
    numbers = [int(one) for one in ids if one.isdecimal()]
    return [cards[one] for one in numbers if one < len(cards)] or cards
