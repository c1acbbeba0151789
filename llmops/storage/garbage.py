"""What may go of the registry and of serving: nothing refers to it, and no backend has it loaded.

Versions only when asked for by number. What is kept to save time is `llmops cache gc`'s
(runner/cache.py), as is what killed writes left elsewhere.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from llmops.errors import NotFound
from llmops.registry.deletion import finish, unfinished
from llmops.registry.store import Registry
from llmops.spec.settings import Settings
from llmops.storage.copies import discard, unloaded
from llmops.storage.deletion import Needed, delete
from llmops.storage.needs import Needs
from llmops.storage.sizes import size_of
from llmops.store.leftovers import is_old, leftovers, remove
from llmops.store.paths import ProjectPaths


@dataclass(frozen=True)
class Garbage:
    """what: in words; size: bytes; version: NAME:vN of one that nothing needs."""

    what: str
    path: Path
    size: int
    version: str | None = None


DAY = 86_400.0
_CRASH = "left by a write that was cut off"
_DELETED = "left by a deletion that was cut off"
_PULL = "left by a pull that nobody went on with for a day"
_MADE = "left by a merge or a compression that was cut off a day ago"
_COPY = "copy for serving that no backend loads"


def garbage(registry: Registry, settings: Settings, keep: int | None = None) -> list[Garbage]:
    """All of it. keep: how many versions of each model stay, the newest; more, where something
    needs them; None: all."""
    paths = registry.paths
    found = [(_CRASH, path) for path in leftovers(paths.models)]
    found += [(_DELETED, path) for path in unfinished(paths)]
    found += [(_PULL, path) for path in paths.models.glob("*/.pull-*") if is_old(path, DAY)]
    # An engine may compare what was made for hours, in which nothing is written there.
    found += [(_MADE, path) for path in paths.models.glob(".making-*") if is_old(path, DAY)]
    found += [(_COPY, path) for path in unloaded(paths)]
    told = [Garbage(what, path, size_of([path])) for what, path in found]
    return told + ([] if keep is None else [*_old(registry, settings, keep)])


def collect(
    found: list[Garbage], registry: Registry, settings: Settings, *, by: str, why: str
) -> list[Garbage]:
    """Remove it; what went. Of versions each is looked at again: one that came to be needed
    meanwhile stays, and what another has deleted is not told."""
    gone = []
    for one in found:
        try:
            if one.version is not None:
                delete(one.version, registry, settings, why=why, by=by)
            elif one.what == _DELETED:
                finish(one.path, registry.paths)
            elif one.what == _PULL:
                _drop(one.path, registry.paths)
            elif one.what != _COPY:
                remove(one.path)
        except (Needed, NotFound):
            continue
        gone.append(one)
    discard(registry.paths)
    return [one for one in gone if one.what not in (_COPY, _PULL) or not one.path.exists()]


def _drop(pulled: Path, paths: ProjectPaths) -> None:
    """Unless somebody goes on with it now."""
    lock = FileLock(paths.lock(f"pull-{pulled.parent.name}"), timeout=0)
    with suppress(Timeout), lock:
        if is_old(pulled, DAY):
            remove(pulled)


def _old(registry: Registry, settings: Settings, keep: int) -> Iterator[Garbage]:
    """The newest first, so that children go before their parents."""
    needs = Needs(settings, registry)
    gone: set[str] = set()
    old = [row for name in registry.names() for row in registry.rows(name)[:-keep]]
    for row in sorted(old, key=lambda one: (one.created, one.number), reverse=True):
        if not needs.of(row.id, gone=gone):
            gone.add(str(row.id))
            folder = registry.paths.version(row.name, row.number)
            what = f"not of the newest {keep} of {row.name}"
            yield Garbage(what, folder, size_of([folder]), str(row.id))
