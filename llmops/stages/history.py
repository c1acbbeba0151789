"""What a stage made before: its output if it is up to date, or what changed since."""

from collections.abc import Mapping

from llmops.engines.contract import Environment
from llmops.errors import BadInput
from llmops.registry.locate import Located, located
from llmops.registry.manifest import Manifest
from llmops.runner.fingerprint import changes, fingerprint
from llmops.runner.stage import Context, Node


def planning_environment(engine: str, context: Context) -> tuple[Environment | None, str]:
    """The engine's environment, or None when it is not installed, and the version that a
    fingerprint names."""
    from llmops.environments.lock import lock_version

    try:
        environment = context.environment(engine)
    except BadInput:
        return None, lock_version(engine, context.settings)
    return environment, environment.version


def looked_up(
    node: Node, model: str, parts: Mapping[str, str], context: Context
) -> tuple[Located | None, tuple[str, ...], Manifest | None]:
    """The version that these parts made, why there is none, and the last of the same recipe."""
    found = context.registry.find(model, fingerprint(parts))
    if found is not None:
        return located(found, context.registry), (), found
    file = context.relative(node.declared.path)
    earlier = [
        manifest
        for manifest in context.registry.versions(model)
        if manifest.lineage.recipe == file and manifest.lineage.stage == node.name
    ]
    if not earlier:
        return None, ("never run",), None
    return None, changes(earlier[-1].parts, parts), earlier[-1]
