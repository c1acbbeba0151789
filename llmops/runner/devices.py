"""Devices: which there are, which of them a run has, and how many it needs for what is left of it.

A device is a GPU, or the whole machine where there is none: one job of one device at a time.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmops.environments.machine import amd_devices, nvidia_devices, visible_gpus
from llmops.runner.graph import Graph
from llmops.runner.record import RunRecord, StageRecord
from llmops.runner.stage import Node

VISIBLE = "CUDA_VISIBLE_DEVICES"
_OVER = {"done", "reused"}


def gpus_here() -> tuple[str, ...]:
    """Those of this machine that this process may use, as CUDA_VISIBLE_DEVICES takes them; where
    there are none, the machine itself is the device."""
    return visible_gpus(nvidia_devices() or amd_devices(), os.environ.get(VISIBLE))


def own_gpus(graph: Graph) -> tuple[str, ...]:
    """Those that a run of the graph has in this process: the first ones, as many as it needs."""
    return gpus_here()[: declared_devices(graph)]


def declared_devices(graph: Graph) -> int:
    """What a run of the graph needs at its widest; 0 when it only moves aliases."""
    wanted = (getattr(node.spec, "resources", None) for node in filter(needs_device, graph.nodes))
    return max((resources.devices if resources else 1 for resources in wanted), default=0)


def needed(record: RunRecord | None, devices: int) -> int:
    """devices: what the run was asked for with. None of them when only moves of aliases are left,
    so a run that waits for evidence or a person holds nobody up."""
    if record is None:
        return devices
    left = [stage for stage in record.stages if stage.state not in _OVER]
    return devices if any(map(needs_device, left)) else 0


def needs_device(stage: Node | StageRecord) -> bool:
    """All do but those that only look and move an alias."""
    return stage.kind != "promote"


@dataclass
class Free:
    """What is left of a machine's devices. gpus: its GPUs; none: it is the device itself."""

    gpus: Sequence[str]
    _named: set[str] = field(default_factory=set)
    _others: int = 0

    @property
    def number(self) -> int:
        """Of all its devices, free or not."""
        return len(self.gpus) or 1

    @property
    def left(self) -> int:
        return max(0, self.number - len(self._named) - self._others)

    def use(self, number: int, gpus: Sequence[str] = ()) -> None:
        """Somebody has so many. gpus: which, where it is known; other machines' count for
        nothing."""
        if gpus and self.gpus:
            self._named |= set(gpus[:number]) & set(self.gpus)
        else:
            self._others += min(number, self.number)

    def take(self, number: int) -> list[str]:
        """Use so many, which there are; the GPUs, the first ones that nobody has. Whoever does not
        say what it has, has the first ones of those."""
        found = [one for one in self.gpus if one not in self._named][self._others :][:number]
        self.use(number, found)
        return found
