"""Building and removing engine environments.

An environment is built under a hidden name from its lock and moved in when it is complete, so an
interrupted install leaves nothing at the final name; the next one starts over. It is built once
for each lock and shared by all projects. Console scripts in it are never needed: every engine
process is `<environment>/bin/python -m ...`.
"""

import datetime
import os
import platform
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from llmops.environments.environment import MARKER, Installed, installed
from llmops.environments.hold import held
from llmops.environments.lock import DISTRIBUTIONS, Lock
from llmops.environments.machine import nvidia_devices
from llmops.environments.pip import create_venv, install_packages, run, tail
from llmops.environments.progress import Report, Step
from llmops.errors import BadInput, Failed, Interrupted
from llmops.store.atomic import full_disk, sync_directory, write_json
from llmops.store.cache_paths import CachePaths
from llmops.store.signals import handling

# What each engine imports first. Importing it once in the new environment proves that it works
# (a CUDA build of torch without its libraries does not), and compiles just what will be used.
IMPORTS = {
    "llamafactory": ("torch", "transformers.trainer", "datasets", "peft"),
    "vllm": ("torch", "vllm.entrypoints.openai.api_server"),
}

GPU_BUILD = (
    "pip chose a build of torch for GPUs, and the lock is for CPU: configure pip with PyTorch's "
    "index of CPU builds (`pip config set global.extra-index-url ...`), or name an environment of "
    "your own ([engines.X] python in llmops.toml)"
)
INCOMPLETE = (
    "the lock does not hold all that the engine needs: it must be the complete `pip freeze --all` "
    "of an environment in which the engine works"
)


def install(lock: Lock, cache: CachePaths, report: Report) -> Installed:
    """The environment of `lock`, built if the cache does not hold it yet.

    Two installs at once: the second waits, and finds it complete. Raises Failed with what to
    check; Interrupted when asked to stop.
    """
    found = installed(lock.key, cache)
    if found is not None and not found.broken:
        return found
    name = f"{lock.engine} {lock.version}"

    def waiting() -> None:
        report(Step(name, "waiting", detail="another install of it is under way"))

    with (
        full_disk(cache.environments),
        _interruptible("interrupted; nothing was installed"),
        held(cache.lock(lock.key), waiting) as handle,
    ):
        found = installed(lock.key, cache)
        if found is not None and not found.broken:
            return found
        report(Step(name, "preparing"))
        _discard(cache.building(lock.key))
        if cache.environment(lock.key).exists():
            _remove_held(lock.key, cache)
        try:
            _build(lock, cache, handle, report)
        except BaseException:
            _discard(cache.building(lock.key))
            raise
    found = installed(lock.key, cache)
    assert found is not None
    report(Step(name, "done"))
    return found


def remove(key: str, cache: CachePaths, report: Report) -> int:
    """Remove the environment named `key`; returns its size in bytes at the time of its install.
    Raises BadInput when there is none."""
    with _interruptible("interrupted"), held(cache.lock(key), lambda: report(Step(key, "waiting"))):
        found = installed(key, cache)
        if found is None:
            raise BadInput(f"there is no environment {key}", fix="llmops engines list")
        _remove_held(key, cache)
        cache.log(key).unlink(missing_ok=True)
        return found.size


def _build(lock: Lock, cache: CachePaths, handle: int, report: Report) -> None:
    building, final, log = (
        cache.building(lock.key),
        cache.environment(lock.key),
        cache.log(lock.key),
    )
    _check_space(lock, cache)
    log.write_text("")
    create_venv(building, lock.key, log, handle)
    requirements = building / "llmops-lock.txt"
    requirements.write_text(lock.text, encoding="utf-8")
    install_packages(lock, requirements, building, log, handle, report)
    report(Step(f"{lock.engine} {lock.version}", "checking"))
    python = platform.python_version()
    site = building / "lib" / ("python" + ".".join(python.split(".")[:2])) / "site-packages"
    version = _installed_version(lock, site)
    _check_imports(lock, building, site, log, handle)
    _relocate(building, final)
    # One sync for the 40,000 files instead of one for each; then the marker says: complete.
    os.sync()
    write_json(
        building / MARKER,
        {
            "format": 1,
            "engine": lock.engine,
            "version": version,
            "device": lock.device,
            "lock": lock.name,
            "lock_sha256": lock.sha256,
            "python": python,
            "size": _size(building),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
    )
    os.rename(building, final)
    sync_directory(final.parent)
    _check_place(lock.key, cache)


def _check_space(lock: Lock, cache: CachePaths) -> None:
    free = shutil.disk_usage(cache.environments).free
    if free < lock.needs_bytes:
        raise Failed(
            f"{lock.engine} {lock.version} needs {lock.needs_bytes / 1e9:.1f} GB on the disk, "
            f"{free / 1e9:.1f} GB are free",
            where=str(cache.environments),
            fix="free some space, or set LLMOPS_CACHE to a directory on a larger disk",
        )


def _installed_version(lock: Lock, site: Path) -> str:
    """What the environment's metadata says of the engine; the engine is not imported."""
    from importlib.metadata import distributions

    for found in distributions(path=[str(site)]):
        if (found.name or "").lower().replace("_", "-") in DISTRIBUTIONS[lock.engine]:
            return found.version
    raise Failed(
        f"pip succeeded, yet {lock.engine} is not in the environment",
        where=lock.name,
        fix="check pip's configuration (`pip config list`: target, prefix and user lead elsewhere)",
    )


def _check_imports(lock: Lock, building: Path, site: Path, log: Path, handle: int) -> None:
    names = [name for name in IMPORTS[lock.engine] if (site / name.split(".")[0]).is_dir()]
    if not names or (lock.device == "cuda" and not nvidia_devices()):
        return  # nothing to import, or for another machine: it needs its driver
    python = str(building / "bin" / "python")
    code = run([python, "-I", "-c", f"import {', '.join(names)}"], log, handle)
    if code != 0:
        said = tail(log)
        gpu = lock.device != "cuda" and re.search(r"lib[\w.-]+\.so", said)
        fix = GPU_BUILD if gpu else INCOMPLETE
        raise Failed(f"the new environment does not work:\n{said}", where=str(log), fix=fix)


def _relocate(building: Path, final: Path) -> None:
    """Let the scripts of the environment name the place where it will be."""
    old, new = os.fsencode(building), os.fsencode(final)
    for path in (building / "pyvenv.cfg", *(building / "bin").iterdir()):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if old in content and b"\0" not in content:
            path.write_bytes(content.replace(old, new))


def _check_place(key: str, cache: CachePaths) -> None:
    """The interpreter must know the place to which it was moved."""
    final = cache.environment(key)
    python = str(final / "bin" / "python")
    argv = [python, "-I", "-c", "import sys; print(sys.prefix)"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if done.returncode != 0 or not os.path.samefile(done.stdout.strip() or "/", final):
        _remove_held(key, cache)
        raise Failed(
            f"the environment does not run where it was moved to: {done.stdout}{done.stderr}",
            where=str(final),
            fix="set LLMOPS_CACHE to a directory that programs may be run from (no `noexec`)",
        )


def _remove_held(key: str, cache: CachePaths) -> None:
    """In one step it is no longer an environment; then its files go."""
    _discard(cache.building(key))
    os.rename(cache.environment(key), cache.building(key))
    _discard(cache.building(key))


def _discard(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _size(root: Path) -> int:
    """Bytes on the disk."""
    total = 0
    for folder, _, names in os.walk(root):
        total += sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for name in names)
    return total


@contextmanager
def _interruptible(what: str) -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does: pip is ended, and what was half-made goes."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handling(stop, signal.SIGTERM) as handled:
        try:
            yield
        except KeyboardInterrupt as error:
            if not handled:
                raise
            raise Interrupted(what) from error
