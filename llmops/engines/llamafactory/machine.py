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

from llmops.environments.machine import amd_devices, cores, nvidia_devices, visible_gpus


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
        """Whether `package`, by the name of its distribution or of its module, is known to be
        absent: torch lies there, and it does not."""
        return bool(self._installed) and _plain(package) not in self._installed

    @cached_property
    def _installed(self) -> frozenset[str]:
        """Names of the installed distributions and modules; none where torch is not among them."""
        found = self.site.iterdir() if self.site is not None and self.site.is_dir() else ()
        names = frozenset(_plain(path.name.partition("-")[0].removesuffix(".py")) for path in found)
        return names if "torch" in names else frozenset()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


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
    present = nvidia_devices() if build == "cuda" else amd_devices()
    return visible_gpus(present, environ.get("CUDA_VISIBLE_DEVICES"))
