"""What the machine gives to training: cores, and accelerators that the environment can use.

Read from files and the process's environment, because torch is not imported here. Covers NVIDIA
and AMD devices; other accelerators count as none.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from llmops.environments.machine import cores, nvidia_devices


@dataclass(frozen=True)
class Machine:
    """cores: what this process may use. accelerators: ids as CUDA_VISIBLE_DEVICES takes them.
    site: the site-packages of the engine's environment; None for one that is only thought of."""

    cores: int
    accelerators: tuple[str, ...] = ()
    site: Path | None = None

    @property
    def cpu_only(self) -> bool:
        return not self.accelerators

    def lacks(self, package: str) -> bool:
        """Whether `package` is known to be absent: torch lies there, and it does not."""
        return bool(self._installed) and package not in self._installed

    @cached_property
    def _installed(self) -> frozenset[str]:
        """Names of the installed distributions; none where torch is not among them."""
        found = self.site.glob("*.dist-info") if self.site is not None else ()
        names = frozenset(
            re.sub(r"[-_.]+", "-", path.name.partition("-")[0]).lower() for path in found
        )
        return names if "torch" in names else frozenset()


def this_machine(site: Path, environ: Mapping[str, str] = os.environ) -> Machine:
    """The machine as seen with the torch in `site`."""
    return Machine(cores(), _accelerators(_torch_build(site), environ), site)


def with_gpus(number: int) -> Machine:
    """This machine if it had so many GPUs, and an environment that uses them."""
    return Machine(cores(), tuple(map(str, range(number))))


def _torch_build(site: Path) -> str:
    """`cuda`, `hip` or `cpu`: what the installed torch was built for."""
    try:
        text = (site / "torch" / "version.py").read_text(encoding="utf-8")
    except OSError:
        return "cpu"
    for build in ("cuda", "hip"):
        if re.search(rf"^{build}\b[^=\n]*=\s*['\"]", text, re.MULTILINE):
            return build
    return "cpu"


def _accelerators(build: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    if build == "cpu":
        return ()
    if build == "cuda":
        present = nvidia_devices()
    else:
        nodes = Path("/sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id")
        present = sum(_is_gpu(node) for node in nodes)
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if not present or given is None:
        # Numbered from 0 as CUDA does, whatever the device files are called.
        return tuple(str(index) for index in range(present))
    return tuple(part.strip() for part in given.split(",") if part.strip() not in ("", "-1"))


def _is_gpu(node: Path) -> bool:
    try:
        return node.read_text().strip() not in ("", "0")
    except OSError:
        return False
