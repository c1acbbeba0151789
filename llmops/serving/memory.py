"""Whether a second vLLM server fits beside those that run.

On a CPU: the memory that is available now (a container's limit counts), against what the running
server uses with the weights of the new base in place of its own. On a GPU: the fraction of its
memory that every server takes, which must be declared. What is not known is refused.
"""

from collections.abc import Mapping
from pathlib import Path

from llmops.environments import machine
from llmops.serving.served import Served, weight
from llmops.spec.deployment import VllmBackend

_SPARE = 0.05
"""Of a GPU's memory: CUDA's own, beside what vLLM counts."""


def why_not(
    base: Served, settings: VllmBackend, *, cpu: bool, running: Mapping[int, Served]
) -> str:
    """Why a server of `base` does not fit; empty when it does.

    running: the base of each server, by its process group.
    """
    if not running:
        return ""
    if cpu:
        return _on_cpu(base, running)
    return _on_gpu(settings, len(running) + 1)


def _on_gpu(settings: VllmBackend, servers: int) -> str:
    fraction = settings.options.get("gpu_memory_utilization")
    most = (1 - _SPARE) / servers
    if fraction is None:
        return (
            "a vLLM server takes 92% of a GPU's memory unless it is told otherwise: set "
            f"backend.args.gpu_memory_utilization to at most {most:.2f} for {servers} servers"
        )
    if float(fraction) > most:
        return (
            f"{servers} servers with backend.args.gpu_memory_utilization {fraction} do not fit "
            f"on one GPU; at most {most:.2f} does"
        )
    return ""


def _on_cpu(base: Served, running: Mapping[int, Served]) -> str:
    _total, free = machine.memory()
    used = {group: resident(group) for group in running}
    group = max(used, key=lambda one: used[one] or 0)
    before = used[group]
    if before is None:
        return "how much memory is in use cannot be found out on this machine"
    needed = before - weight(running[group]) + weight(base)
    if needed > free:
        return f"it needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are available"
    return ""


def resident(group: int) -> int | None:
    """Bytes of memory that the processes of a group use, what they share counted by its share."""
    total, found = 0, False
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            if int(fields.rpartition(")")[2].split()[2]) != group:
                continue
            for line in (folder / "smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
                    found = True
        except (OSError, ValueError, IndexError):
            continue
    return total if found else None
