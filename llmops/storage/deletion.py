"""Deleting a version that nothing needs."""

from dataclasses import dataclass

from llmops.errors import BadInput
from llmops.registry.deletion import bury, finish, unfinished
from llmops.registry.manifest import VersionId
from llmops.registry.store import Registry
from llmops.spec.settings import Settings
from llmops.storage.copies import discard
from llmops.storage.needs import Needs


class Needed(BadInput):
    """Something needs the version."""


@dataclass(frozen=True)
class Deleted:
    """version: NAME:vN; freed: bytes, with those of its copies for serving."""

    version: str
    freed: int


def delete(
    text: str, registry: Registry, settings: Settings, *, why: str, by: str, way_back: bool = True
) -> Deleted:
    """Delete the version NAME:vN. way_back: keep one that a rollback leads to.

    A deletion that was cut off is finished. Raises NotFound for no such version, Needed while
    anything needs it, naming what.
    """
    version = _version(text)

    def allowed() -> None:
        found = Needs(settings, registry).of(version, way_back=way_back)
        if found:
            what = "; ".join(dict.fromkeys(need.what for need in found))
            fix = "; ".join(dict.fromkeys(need.fix for need in found))
            raise Needed(f"{version} is needed: {what}", fix=fix)

    folder = registry.paths.version(version.name, version.number)
    if folder in unfinished(registry.paths, f"{version.name}/v{version.number}"):
        freed = finish(folder, registry.paths)
    else:
        freed = bury(registry.get(version), registry.paths, allowed, why=why, by=by)
    return Deleted(text, freed + discard(registry.paths, text))


def _version(text: str) -> VersionId:
    try:
        return VersionId.parse(text)
    except ValueError:
        raise BadInput(
            f"`{text}` is not the name of one version",
            fix="write NAME:vN: an alias may move before it is read",
        ) from None
