"""Which pipeline and which deployment `llmops up` is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmops.errors import BadInput
from llmops.spec.deployment import Deployment
from llmops.spec.deployments import FOLDER, declared
from llmops.spec.load import Loaded, load_deployment, load_pipeline
from llmops.spec.pipeline import Pipeline
from llmops.spec.source import display, read_source


@dataclass(frozen=True)
class Chosen:
    """pipeline: to begin with when there is nothing to serve; deployment: None for none."""

    pipeline: Loaded[Pipeline] | None
    deployment: Loaded[Deployment] | None


def choose(files: Sequence[Path], root: Path) -> Chosen:
    """What the files on the command line are; the project's only deployment where none is named.

    Raises BadInput when one is neither, or the project has several deployments.
    """
    pipeline: Loaded[Pipeline] | None = None
    deployment: Loaded[Deployment] | None = None
    for file in files:
        keys = read_source(file).data
        if "variants" in keys and deployment is None:
            deployment = load_deployment(file)
        elif "stages" in keys and pipeline is None:
            pipeline = load_pipeline(file)
            _require_within(file, root)
        else:
            raise BadInput(
                "a pipeline has `stages`, a deployment `variants`; at most one of each",
                where=display(file),
                fix="llmops up pipelines/town.yaml serving/town.yaml",
            )
    return Chosen(pipeline, deployment or _only_deployment(root))


def _require_within(pipeline: Path, root: Path) -> None:
    """Runs are asked for by their place in the project."""
    if not pipeline.resolve().is_relative_to(root):
        raise BadInput(
            f"this pipeline is not in the project {root}",
            where=display(pipeline),
            fix="go to the directory of its project, or copy it into this one",
        )


def _only_deployment(root: Path) -> Loaded[Deployment] | None:
    known = declared(root)
    if len(known.loaded) == 1:
        return known.loaded[0]
    if not known.loaded:
        if known.problems:
            raise known.problems[0]
        return None
    listed = "\n  ".join(display(one.path) for one in known.loaded)
    raise BadInput(
        f"the project has {len(known.loaded)} deployments; name one of them",
        where=display(root / FOLDER),
        fix=f"llmops up FILE, with one of\n  {listed}",
    )
