"""Devices: how many there are, and how many a run needs for what is left of it.

A device is a GPU, or the whole machine where there is none: one job of one device at a time.
"""

import subprocess

from llmops.environments.machine import gpus
from llmops.runner.graph import Graph
from llmops.runner.record import RunRecord, StageRecord

_LIGHT = {"promote"}
"""Kinds of stage that only look and move an alias."""
_OVER = {"done", "reused"}


def count_devices() -> int:
    """Those of this machine; asked once, when a dispatcher starts."""
    try:
        return len(gpus()) or 1
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 1


def declared_devices(graph: Graph) -> int:
    """What a run of the graph needs at its widest; 0 when it only moves aliases."""
    heavy = [node for node in graph.nodes if node.kind not in _LIGHT]
    wanted = (getattr(node.spec, "resources", None) for node in heavy)
    return max((resources.devices if resources else 1 for resources in wanted), default=0)


def needed(record: RunRecord | None, devices: int) -> int:
    """devices: what the run was asked for with. None of them when only moves of aliases are left,
    so a run that waits for evidence or a person holds nobody up."""
    if record is None:
        return devices
    left = [stage for stage in record.stages if stage.state not in _OVER]
    return devices if any(map(needs_device, left)) else 0


def needs_device(stage: StageRecord) -> bool:
    return stage.kind not in _LIGHT
