"""The kernel kills a training for its memory: a cgroup of a few hundred megabytes, which only root
can make below its own, and not in every container."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths

pytestmark = pytest.mark.engine

LIMIT = 800_000_000
"""Bytes: enough for llmops and an engine that has loaded the tiny model, not for a large batch."""
LARGE = ("args.per_device_train_batch_size=3000", "args.max_steps=4")
ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
CGROUPS = Path("/sys/fs/cgroup")


def own_cgroup() -> tuple[Path, str]:
    """This process's group for memory, and the file of a group that holds its limit."""
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return CGROUPS / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
        if not controllers and (CGROUPS / "cgroup.controllers").exists():
            return CGROUPS / path.lstrip("/"), "memory.max"
    return CGROUPS, ""


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A group of processes that may have no more than LIMIT."""
    parent, limit = own_cgroup()
    group = parent / f"llmops-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("this system does not let us make a cgroup")
    try:
        (group / limit).write_text(str(LIMIT), encoding="ascii")
    except OSError:
        group.rmdir()
        pytest.skip("this system does not let us limit a cgroup's memory")
    yield group
    group.rmdir()


def test_what_the_kernel_killed_ends_with_what_needs_less(
    small_memory: Path, starter: Path, tiny_base: Path
) -> None:
    asked = ("run", "recipes/sft.yaml", "base=town-base:v1", "output.model=large", *LARGE)
    llmops = [sys.executable, "-m", "llmops", *asked]
    done = subprocess.run(
        ["sh", "-c", ENTER, str(small_memory), *llmops],
        cwd=starter,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert "killed by the kernel, because memory was full" in done.stderr
    assert "this needs less: " in done.stderr
    assert "again in" not in done.stderr  # it is not tried again
    run = json.loads(max((starter / ".llmops/runs").glob("*/run.json")).read_text("utf-8"))
    assert run["stages"][0]["error"].startswith("killed by the kernel")
    assert Registry(ProjectPaths(starter)).versions("large") == []
