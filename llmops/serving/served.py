"""A version as serving knows it: where its files lie, what it stands on, what it must answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from llmops.registry.imports import stored_dtype
from llmops.registry.locate import Located, locate_base
from llmops.registry.manifest import Golden
from llmops.registry.store import Registry


@dataclass(frozen=True)
class Served:
    """name: of the version, which is `model` in a request to its backend; kind: full, adapter, or
    remote (a model of a server that is not ours); directory: of its files; files: sha256 by name,
    to verify a copy by (None: a directory that is not registered); rank, base: of an adapter;
    called: its name at the backend, where that differs."""

    name: str
    kind: str
    directory: Path
    digest: str
    files: Mapping[str, str] | None
    golden: tuple[Golden, ...]
    dtype: str | None
    rank: int | None = None
    base: "Served | None" = None
    called: str = ""

    @property
    def root(self) -> "Served":
        """The full model that a backend loads for it: its base, or itself."""
        return self.base or self

    @property
    def model(self) -> str:
        return self.called or self.name


@dataclass(frozen=True)
class Load:
    """What one vLLM process holds: a base, and adapters on it."""

    base: Served
    adapters: tuple[Served, ...] = ()

    @property
    def versions(self) -> tuple[Served, ...]:
        return (self.base, *self.adapters)


def loads_of(versions: Iterable[Served]) -> tuple[Load, ...]:
    """One for each base that the versions are or stand on, the very same by its digest."""
    bases: dict[str, Served] = {}
    adapters: dict[str, dict[str, Served]] = {}
    for one in versions:
        root = bases.setdefault(one.root.digest, one.root)
        if one.base is not None:
            adapters.setdefault(root.digest, {})[one.name] = one
    return tuple(
        Load(base, tuple(adapters.get(digest, {}).values())) for digest, base in bases.items()
    )


def served(one: Located, registry: Registry, root: Path) -> Served:
    """Raises BadInput when the base of an adapter cannot be found."""
    if one.kind == "full":
        return _served(one, one.files.directory)
    assert one.files.adapter is not None
    assert one.base is not None
    base = locate_base(one.base, registry, root)
    return replace(
        _served(one, one.files.adapter),
        rank=_rank(one, one.files.adapter),
        base=_served(base, base.files.directory),
    )


def remote(name: str, called: str = "") -> Served:
    """A model of a server that exists, by the name of its version and its name there."""
    return Served(name, "remote", Path(), "", None, (), None, called=called)


def weight(one: Served) -> int:
    """Bytes of its files."""
    names = one.files or [path.name for path in one.directory.iterdir()]
    files = (one.directory / name for name in names)
    return sum(file.stat().st_size for file in files if file.is_file())


def _served(one: Located, directory: Path) -> Served:
    manifest, dtype = one.manifest, None
    if manifest is not None:
        dtype = manifest.dtype
    elif one.kind == "full":
        dtype = stored_dtype(directory)
    return Served(
        name=one.id,
        kind=one.kind,
        directory=directory,
        digest=one.digest,
        files=manifest.files if manifest else None,
        golden=tuple(manifest.golden) if manifest else (),
        dtype=dtype,
    )


def _rank(one: Located, directory: Path) -> int:
    if one.manifest is not None and one.manifest.lora_rank is not None:
        return one.manifest.lora_rank
    from llmops.registry.adapters import read_adapter

    return read_adapter(directory).rank
