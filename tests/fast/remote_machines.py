"""Two machines of a team and what they register, for the tests of pushing and pulling."""

from pathlib import Path

from llmops.registry.manifest import Draft, Manifest
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_adapter, write_full

ID = "acme/town"


def machine(root: Path) -> Registry:
    return Registry(ProjectPaths(root))


def add(registry: Registry, fill: int = 0, base: str = "hub:Org/Small@main") -> Manifest:
    """The next version of `town`, an adapter."""
    source = registry.root / f"made-{fill}"
    if not source.exists():
        write_adapter(source, fill=fill)
    return registry.add(Draft(name="town", kind="adapter", stage="sft", base=base), source)


def add_base(registry: Registry) -> Manifest:
    source = registry.root / "base"
    return registry.add(Draft(name="city", kind="full", stage="base"), write_full(source))
