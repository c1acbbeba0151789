"""Reading versions again, one after the other, and saying of each whether it is as registered."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from llmops.errors import Failed, NotFound
from llmops.registry.deletion import buried
from llmops.registry.integrity import Progress
from llmops.registry.locate import Located
from llmops.registry.manifest import VersionId
from llmops.registry.store import Registry


@dataclass(frozen=True)
class Checked:
    """A version that was read. bytes: of its files; damage: what is not as registered, in words."""

    version: str
    files: int
    bytes: int
    damage: list[str] = field(default_factory=list)
    error: Failed | None = None

    @property
    def told(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "error"}


def checked(
    registry: Registry, text: str | None, progress: Progress | None = None
) -> Iterator[Checked]:
    """All versions (None), those of the model NAME, or the one that NAME:vN or NAME@ALIAS names.
    What is deleted meanwhile is passed over: all may take hours.

    Raises NotFound when there is no such one.
    """
    for version in _asked(registry, text):
        try:
            manifest = registry.get(version)
        except NotFound:
            continue
        except Failed as error:
            yield Checked(str(version), 0, 0, [error.what], error)
            continue
        size, files = registry.size(manifest), len(manifest.files)
        try:
            registry.verify(manifest, progress)
        except Failed as error:
            if buried(str(version), registry.paths) is None:
                yield Checked(str(version), files, size, [error.what], error)
        else:
            yield Checked(str(version), files, size)


def verify_used(found: Located, registry: Registry) -> None:
    """Read a version, and the base of an adapter, before something is made of it: what flipped
    would be in all that comes of it, and no later check would say so. Of what is not registered
    nobody knows what it was. Raises Failed."""
    for version in (found.id, found.base):
        if (manifest := registry.known(version)) is not None:
            registry.verify(manifest)


def refuse_damaged(found: Sequence[Checked]) -> None:
    """Raises Failed when any is damaged, naming all."""
    errors = [one.error for one in found if one.error is not None]
    if errors:
        first, *rest = errors
        others = "".join(f"\n  {error.where}: {error.what}" for error in rest)
        raise Failed(first.what + others, where=first.where, fix=first.fix)


def _asked(registry: Registry, text: str | None) -> list[VersionId]:
    if text is not None and (":" in text or "@" in text):
        return [registry.resolve(text).id]
    if text is not None and not registry.has(text):
        raise registry.no_model(text)
    names = registry.names() if text is None else [text]
    return [VersionId(name, number) for name in names for number in registry.numbers(name)]
