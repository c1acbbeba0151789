"""What `llmops doctor` looks at, and what to do about each thing that it finds.

Reads only, except for one temporary file that shows whether the cache can be written. The engines
themselves are not started; `llmops engines install` has done that once.
"""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmops.environments import machine
from llmops.environments.machine import size_text
from llmops.errors import BadInput, LlmopsError
from llmops.spec.policy import EVERY
from llmops.spec.settings import ENGINES, FILE, Settings, load_settings
from llmops.spec.suggest import did_you_mean
from llmops.store.cache_paths import CachePaths
from llmops.store.paths import ProjectPaths

SUPPORTED = {"llamafactory": "0.9.5", "vllm": "0.32"}
"""The engine versions that llmops is tested with: an exact one, or all of a minor version."""

PROJECT_BYTES = 2e9
MEMORY_BYTES = 4e9  # vLLM with the smallest model takes about 3 GB (measured on CPU)


@dataclass(frozen=True)
class Finding:
    """check: what was looked at; what: what was found; fix: what to do, empty when ok."""

    check: str
    level: Literal["ok", "warn", "error"]
    what: str
    fix: str = ""


def diagnose(start: Path | None = None) -> Iterator[Finding]:
    """All the findings, as they are made, for the project at `start` (default: the working
    directory)."""
    yield python_version(sys.version_info[:2])
    yield processor(machine.cores())
    yield memory(*machine.memory())
    try:
        settings = load_settings(start)
    except LlmopsError as error:
        yield _error(FILE, error, "correct the file; the checks that depend on it were left out")
        yield from devices(gpu_builds=True)
        return
    named = (settings.root / FILE).is_file()
    yield Finding(FILE, "ok", "valid" if named else "none here; the defaults hold")
    yield project_disk(settings.root, machine.disk_free(settings.root))
    yield cache_writable(settings.cache)
    yield from devices(gpu_builds=_has_gpu_builds(settings))
    for engine in ENGINES:
        yield from engine_findings(engine, settings)
    yield from registry(settings.root)
    yield from policies(settings)


def python_version(version: tuple[int, ...]) -> Finding:
    said = f"{platform.python_version()} ({sys.executable})"
    if version < (3, 11):
        return Finding("python", "error", said, "llmops needs Python 3.11 or later")
    return Finding("python", "ok", said)


def processor(cores: int) -> Finding:
    if cores < 2:
        fix = "train and serve one after the other: beside a server, training takes many times long"
        return Finding("processor", "warn", "1 core", fix)
    return Finding("processor", "ok", f"{cores} cores")


def memory(total: int, available: int) -> Finding:
    what = f"{size_text(available)} of {size_text(total)} available"
    if available < MEMORY_BYTES:
        fix = "end what else runs: a server of the smallest model and a training stage beside it "
        return Finding("memory", "warn", what, fix + f"need {size_text(MEMORY_BYTES)}")
    return Finding("memory", "ok", what)


def project_disk(root: Path, free: int) -> Finding:
    what = f"{size_text(free)} free at {root}"
    if free < PROJECT_BYTES:
        fix = "free some space, or remove old runs below .llmops/runs: every run keeps its output"
        return Finding("disk", "warn", what, fix)
    return Finding("disk", "ok", what)


def cache_writable(cache: Path) -> Finding:
    """Whether environments can be built there. Creates nothing that stays."""
    existing = cache
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        fix = "check the owner and permissions, or set LLMOPS_CACHE to a directory of yours"
        return Finding("cache", "error", f"{cache} cannot be written: {error.strerror}", fix)
    return Finding("cache", "ok", f"{cache}, {size_text(machine.disk_free(cache))} free")


def devices(*, gpu_builds: bool) -> Iterator[Finding]:
    """gpu_builds: whether the engines of this project may use a GPU."""
    try:
        found = machine.gpus()
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        said = str(error).splitlines()[0]
        fix = "check the NVIDIA driver; until nvidia-smi works, expect the engines to run on CPU"
        yield Finding("devices", "warn", f"nvidia-smi fails: {said}", fix)
        return
    if not found:
        yield Finding("devices", "ok", "no GPU: CPU engines are used")
    for gpu in found:
        memory = f"{size_text(gpu.free)} of {size_text(gpu.total)} free"
        yield Finding("devices", "ok", f"{gpu.name}, {memory}, driver {gpu.driver}")
    if found and not gpu_builds:
        yield Finding(
            "devices",
            "warn",
            "there is a GPU, and the engines are CPU builds",
            f'take `device = "cpu"` out of [engines] in {FILE} (LLMOPS_ENGINES_DEVICE out of the '
            "environment), then llmops engines install",
        )


def engine_findings(engine: str, settings: Settings) -> Iterator[Finding]:
    from llmops.environments.environment import find, installed
    from llmops.environments.lock import lock_for

    check = f"engine {engine}"
    own = settings.engine(engine).python is not None
    try:
        if not own:
            lock = lock_for(engine, settings)
            if installed(lock.key, CachePaths(settings.cache)) is None:
                yield _missing(check, engine, lock.needs_bytes, machine.disk_free(settings.cache))
                return
        found = find(engine, settings)
    except BadInput as error:
        yield _error(check, error, f"llmops engines install {engine}")
        return
    what = f"{found.version}, {'your own, ' if own else ''}{found.python}"
    if not _supported(engine, found.version):
        told = f"{what}; llmops is tested with {engine} {SUPPORTED[engine]}"
        yield Finding(check, "warn", told, "expect options to differ")
        return
    yield Finding(check, "ok", what)


def registry(root: Path) -> Iterator[Finding]:
    """Reads every file of every version and compares it with the manifest."""
    from llmops.registry.store import Registry

    models = Registry(ProjectPaths(root))
    names = models.names()
    if not names:
        yield Finding("registry", "ok", "no model versions yet")
    for name in names:
        try:
            versions = models.versions(name)
        except LlmopsError as error:
            yield _error("registry", error, "restore the manifest, or make the version again")
            continue
        intact = 0
        for version in versions:
            try:
                models.verify(version)
                intact += 1
            except LlmopsError as error:
                yield _error("registry", error, "make the version again, or restore it")
        if intact == len(versions):
            counted = "1 version" if intact == 1 else f"{intact} versions"
            yield Finding("registry", "ok", f"{name}: {counted}, every file intact")


def policies(settings: Settings) -> Iterator[Finding]:
    """What is declared of a model that is not here protects none."""
    from llmops.registry.store import Registry

    known = Registry(ProjectPaths(settings.root)).names()
    for name in settings.aliases.keys() - {EVERY, *known}:
        what = f"[aliases.{name}]: there is no model `{name}` yet"
        yield Finding(FILE, "warn", what, did_you_mean(name, known) or "correct the name")


def _missing(check: str, engine: str, needs: int, free: int) -> Finding:
    what = f"not installed ({size_text(needs)})" if needs else "not installed"
    if free < needs:
        fix = f"only {size_text(free)} are free for it: free some space, or set LLMOPS_CACHE"
        return Finding(check, "error", what, fix)
    return Finding(check, "warn", what, f"llmops engines install {engine}")


def _supported(engine: str, version: str) -> bool:
    wanted = SUPPORTED[engine]
    return version == wanted or version.startswith((wanted + ".", wanted + "+"))


def _has_gpu_builds(settings: Settings) -> bool:
    engines = [settings.engine(name) for name in ENGINES]
    own = all(engine.python is not None or engine.lock is not None for engine in engines)
    return own or settings.engines.device != "cpu"


def _error(check: str, error: LlmopsError, fix: str) -> Finding:
    return Finding(check, "error", error.line, error.fix or fix)
