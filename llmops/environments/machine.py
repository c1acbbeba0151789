"""What this machine has: processor cores, memory, disk and GPUs, as far as this process may use
them. Read from the system on each call; nothing is kept.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SMI_SECONDS = 5.0
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Gpu:
    """A GPU as nvidia-smi names it. total, free: bytes of its memory."""

    name: str
    total: int
    free: int
    driver: str


def size_text(size: float) -> str:
    """Bytes in the unit that suits them."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"


def cores() -> int:
    """Cores that this process may run on, with a container's quota."""
    if hasattr(os, "sched_getaffinity"):
        number = len(os.sched_getaffinity(0))
    else:
        number = os.cpu_count() or 1
    quota = _read(_CGROUP / "cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        number = min(number, max(1, int(quota[0]) // int(quota[1])))
    return number


def memory(cgroup: Path = _CGROUP) -> tuple[int, int]:
    """Bytes of memory in all, and bytes that are available; a container's limit counts. cgroup:
    where the kernel tells of it."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    available = total
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    if limit.isdigit() and used.isdigit() and int(limit) < total:
        total = int(limit)
        # Files that were read once and lie in memory count as used, though the kernel gives their
        # place back: whoever copied a model would seem to have no memory left.
        fields = (line.split() for line in _read(cgroup / "memory.stat").splitlines())
        idle = next((int(value) for name, value in fields if name == "inactive_file"), 0)
        available = min(available, max(0, total - int(used) + idle))
    return total, available


def memory_kills() -> int:
    """How many processes the kernel has killed for want of memory: the machine's or a container's.
    Zero where it does not count them."""
    fields = (line.split() for line in _read(Path("/proc/vmstat")).splitlines())
    return next((int(value) for name, value in fields if name == "oom_kill"), 0)


def disk_free(path: Path) -> int:
    """Free bytes where `path` is, or would be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def nvidia_devices() -> int:
    """How many NVIDIA GPUs this process may open, by their device files: a container without them
    sees the driver of its host all the same. One, where Windows lends its own (WSL)."""
    names = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia*")]
    number = sum(name.isdigit() for name in names)
    return number or int(Path("/dev/dxg").exists() and shutil.which("nvidia-smi") is not None)


def amd_devices() -> int:
    """How many AMD GPUs the kernel tells of."""
    nodes = Path("/sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id")
    return sum(_read(node) not in ("", "0") for node in nodes)


def visible_gpus(present: int, given: str | None) -> tuple[str, ...]:
    """Of so many GPUs those that a process may use, as CUDA_VISIBLE_DEVICES takes them. given: what
    that says; None where it is not set."""
    if not present or given is None:
        # Numbered from 0 as CUDA does, whatever the device files are called.
        return tuple(str(index) for index in range(present))
    return tuple(part.strip() for part in given.split(",") if part.strip() not in ("", "-1"))


def gpus() -> list[Gpu]:
    """The GPUs that nvidia-smi reports; none without it.

    Raises OSError or TimeoutExpired when it does not run, ValueError when it reports an error.
    """
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    fields = "name,memory.total,memory.free,driver_version"
    done = subprocess.run(
        [command, f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        timeout=SMI_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise ValueError((done.stdout + done.stderr).strip() or f"exit code {done.returncode}")
    return [_gpu(line) for line in done.stdout.splitlines() if line.strip()]


def _gpu(line: str) -> Gpu:
    name, total, free, driver = (part.strip() for part in line.rsplit(",", 3))
    # MiB; a device that shares the machine's memory reports [N/A].
    mib = [int(part) * 2**20 if part.isdigit() else 0 for part in (total, free)]
    return Gpu(name, mib[0], mib[1], driver)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
