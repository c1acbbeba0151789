"""What a stage made before: its output if it is up to date, or what changed since."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from llmops.engines.contract import Engine, Environment, Progress
from llmops.errors import BadInput, Failed
from llmops.registry.locate import Located, located
from llmops.registry.manifest import Manifest
from llmops.runner.fingerprint import fingerprint
from llmops.runner.stage import Attempt, Context, Node
from llmops.spec.source import display
from llmops.stages.differences import differences
from llmops.store.files import read_object
from llmops.store.run_paths import AttemptPaths


def planning_environment(engine: str, context: Context) -> tuple[Environment | None, str]:
    """The engine's environment, or None when it is not installed, and the version that a
    fingerprint names."""
    from llmops.environments.lock import lock_version

    try:
        environment = context.environment(engine)
    except BadInput:
        if context.settings.engine(engine).python is not None:
            raise  # named, and not there: an install would not mend it
        return None, lock_version(engine, context.settings)
    return environment, environment.version


def attempts_at(fingerprint: str, context: Context) -> list[AttemptPaths]:
    """Every attempt at what has this fingerprint, the one in hand included."""
    records = sorted(context.paths.runs.glob("*/*/*/attempt.json"))
    return [
        AttemptPaths(record.parent)
        for record in records
        if read_object(record).get("fingerprint") == fingerprint
    ]


def checkpoint_of(engine: Engine, attempt: Attempt, context: Context) -> Path | None:
    """The furthest checkpoint of the attempts at the same thing that did not finish, of those that
    are whole."""
    found = [
        (step, folder, paths)
        for paths in _alike(attempt, context)
        for step, folder in engine.checkpoints(paths)
    ]
    for step, folder, paths in sorted(found, key=lambda one: one[:2], reverse=True):
        attempt.report(Progress(f"reading {folder.name}"))  # gigabytes, perhaps
        why = engine.damage(paths, folder)
        if not why:
            attempt.report(Progress(f"going on from step {step} of an earlier attempt"))
            return folder
        told = f"{display(folder)} is passed over: {why}"
        attempt.report(Progress("starting", warning=told))
    return None


def finished_before(engine: Engine, attempt: Attempt, context: Context) -> Attempt | None:
    """An attempt at the same thing that came to its end, and was killed before its result was
    registered."""
    for paths in _alike(attempt, context):
        if paths == attempt.paths:
            continue
        try:
            engine.finished(paths)
        except (Failed, OSError, ValueError, KeyError, TypeError):
            continue
        run, number = paths.root.parent.parent.name, int(paths.root.name)
        attempt.report(Progress(f"taking the result of attempt {number} of run {run}"))
        return replace(attempt, run=run, number=number, paths=paths)
    return None


def _alike(attempt: Attempt, context: Context) -> list[AttemptPaths]:
    """The attempts at the same thing, of a forced run its own alone. What they were made from is
    the same to the byte, so training can go on from them."""
    found = attempts_at(str(read_object(attempt.paths.record).get("fingerprint")), context)
    own = context.paths.run(attempt.run).root
    return [one for one in found if not attempt.forced or one.root.is_relative_to(own)]


def looked_up(
    node: Node, model: str, parts: Mapping[str, str], context: Context
) -> tuple[Located | None, tuple[str, ...], Manifest | None]:
    """The version that these parts made, why there is none, and the last of the same recipe."""
    found = context.registry.find(model, fingerprint(parts))
    if found is not None:
        return located(found, context.registry), (), found
    earlier = context.registry.last_of(model, context.relative(node.declared.path), node.name)
    if earlier is None:
        return None, ("never run",), None
    return None, differences(earlier, parts, node, context), earlier
