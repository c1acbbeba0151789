"""What commands open of the project they are called in."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmops.registry.store import Registry


def opened_registry() -> "Registry":
    """The project's models. Raises BadInput outside a project."""
    from llmops.registry.store import Registry
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    return Registry(ProjectPaths(load_settings().root))
