"""What changed in a recipe's file since it made a version."""

from pathlib import Path
from typing import Any

from llmops.errors import LlmopsError
from llmops.lineage.project import Project
from llmops.registry.manifest import Manifest
from llmops.runner.fingerprint import changes
from llmops.runner.graph import build_graph
from llmops.runner.record import read_run
from llmops.spec.load import load_recipe
from llmops.stages.catalog import KINDS
from llmops.store.facts import flatten


def changes_of(manifest: Manifest, project: Project) -> tuple[str, list[str]]:
    """The state of the recipe's file, and sentences: `args.seed: 1 -> 2`. Nothing is compared where
    the manifest does not hold the recipe."""
    made = manifest.lineage
    file = project.paths.root / (made.recipe or "")
    if not file.is_file():
        return "missing", []
    if not made.resolved:
        return "", []
    try:
        now = _declared(manifest, file, project)
    except LlmopsError as error:
        return "unreadable", [error.line]
    was, is_ = ({k: str(v) for k, v in flatten(one).items()} for one in (made.resolved, now))
    found = changes(was, is_)
    return "changed" if found else "", list(found)


def _declared(manifest: Manifest, file: Path, project: Project) -> Any:
    """The recipe as its run would read it now: with the run's overrides and its pipeline's."""
    root = project.paths.root
    record = read_run(project.paths.run(manifest.lineage.run or "-"))
    if record is not None and record.file:
        try:
            graph = build_graph(root / record.file, record.overrides, root=root, kinds=KINDS)
            for node in graph.nodes:
                if node.name == manifest.lineage.stage and node.declared.path == file:
                    return node.declared.source.data
        except LlmopsError:
            pass  # the pipeline changed, or is gone; the recipe alone may still be read
    return load_recipe(file).source.data
