"""Where the environment of an engine is, and what the cache holds.

`find` is what plans, runs and servers call; it only reads, and runs no interpreter for an
environment that llmops built. Building and removing is `install.py`, the user's own environments
are `own.py`.
"""

from dataclasses import dataclass
from pathlib import Path

from llmops.engines.contract import Environment
from llmops.environments.lock import Lock, check_engine, lock_for
from llmops.errors import BadInput
from llmops.spec.settings import ENGINES, Settings
from llmops.spec.suggest import did_you_mean
from llmops.store.cache_paths import CachePaths
from llmops.store.files import read_object

MARKER = "llmops-environment.json"
"""Written last into a finished environment; a directory without it is never used."""


@dataclass(frozen=True)
class Installed:
    """A finished environment in the cache. size: bytes at the time of the install;
    broken: why it cannot be used any more, or empty."""

    environment: Environment
    key: str
    root: Path
    size: int
    created: str
    broken: str = ""


def find(engine: str, settings: Settings, cache: CachePaths | None = None) -> Environment:
    """The environment in which `engine` runs: the user's own if the settings name one, else the
    installed one of the lock. Raises BadInput, with what to do, when there is none."""
    cache = cache or CachePaths(settings.cache)
    if settings.engine(check_engine(engine)).python is not None:
        from llmops.environments.own import own_environment

        return own_environment(engine, settings, cache)
    found = installed(lock_for(engine, settings).key, cache)
    if found is None:
        raise BadInput(
            f"the engine {engine} is not installed", fix=f"llmops engines install {engine}"
        )
    if found.broken:
        raise BadInput(found.broken, where=str(found.root), fix=f"llmops engines install {engine}")
    return found.environment


def installed(key: str, cache: CachePaths) -> Installed | None:
    """The finished environment named `key`, or None."""
    root = cache.environment(key)
    marker = read_object(root / MARKER)
    if not {"engine", "version", "python", "size", "created"} <= marker.keys():
        return None
    minor = ".".join(str(marker["python"]).split(".")[:2])
    python = root / "bin" / "python"
    environment = Environment(
        engine=str(marker["engine"]),
        version=str(marker["version"]),
        python=python,
        site=root / "lib" / f"python{minor}" / "site-packages",
    )
    # bin/python is a link to the Python that llmops ran on, which may be gone since.
    broken = "" if python.exists() else f"the Python {marker['python']} that it links to is gone"
    return Installed(environment, key, root, int(marker["size"]), str(marker["created"]), broken)


def all_installed(cache: CachePaths) -> list[Installed]:
    """Every finished environment in the cache, whichever project's lock it was built for."""
    if not cache.environments.is_dir():
        return []
    names = sorted(p.name for p in cache.environments.iterdir() if not p.name.startswith("."))
    return [found for name in names if (found := installed(name, cache)) is not None]


@dataclass(frozen=True)
class Listed:
    """A line of `llmops engines list`. state: installed, own, broken, not installed, or other
    (of another project, lock or Python). where: the environment's directory; what: the reason
    when it cannot be used."""

    engine: str
    version: str
    state: str
    python: str = ""
    where: str = ""
    size: int | None = None
    key: str = ""
    what: str = ""


def listing(settings: Settings, cache: CachePaths | None = None) -> list[Listed]:
    """What this project uses for each engine, then what else the cache holds."""
    cache = cache or CachePaths(settings.cache)
    used = [_listed(engine, settings, cache) for engine in ENGINES]
    keys = {line.key for line in used}
    others = [item for item in all_installed(cache) if item.key not in keys]
    return used + [_line(item, "broken" if item.broken else "other") for item in others]


def _listed(engine: str, settings: Settings, cache: CachePaths) -> Listed:
    python = settings.engine(engine).python
    if python is not None:
        try:
            own = find(engine, settings, cache)
        except BadInput as error:
            return Listed(engine, "", "broken", str(python), what=error.what)
        return Listed(engine, own.version, "own", str(own.python), str(own.site))
    lock: Lock = lock_for(engine, settings)
    found = installed(lock.key, cache)
    if found is None:
        return Listed(engine, lock.version, "not installed")
    return _line(found, "broken" if found.broken else "installed")


def _line(item: Installed, state: str) -> Listed:
    found = item.environment
    return Listed(
        engine=found.engine,
        version=found.version,
        state=state,
        python=str(found.python),
        where=str(item.root),
        size=item.size,
        key=item.key,
        what=item.broken,
    )


def to_remove(name: str, settings: Settings, cache: CachePaths | None = None) -> Installed:
    """The environment in the cache that `name` means: an engine's of this project's lock, or any
    by its key. Raises BadInput with the nearest name when there is none."""
    cache = cache or CachePaths(settings.cache)
    keys = [item.key for item in all_installed(cache)]
    if name not in ENGINES and name not in keys:
        raise BadInput(
            f"`{name}` is neither an engine nor an environment in the cache",
            fix=did_you_mean(name, [*ENGINES, *keys]),
        )
    found = installed(lock_for(name, settings).key if name in ENGINES else name, cache)
    if found is None:
        raise BadInput(
            f"{name} has no environment in the cache that this project's lock names",
            fix="llmops engines list",
        )
    return found
