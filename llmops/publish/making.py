"""New versions of old ones: merged into full weights, or compressed to a smaller rank.

What is made lies in a temporary directory among the models until it is registered, so that a
process that is killed leaves nothing but that (`llmops models gc` removes it).
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from llmops.engines.contract import Environment, ModelFiles
from llmops.environments.machine import size_text
from llmops.environments.packages import packages
from llmops.errors import BadInput, Failed, GateRefused
from llmops.publish.checked import Compared, check_merged, compared
from llmops.publish.compress import Compressed, compress
from llmops.publish.merge import Merged, merge
from llmops.registry.files import model_files
from llmops.registry.imports import check_names, stored_dtype
from llmops.registry.intake import Progress
from llmops.registry.licence import made_from
from llmops.registry.locate import Located, located
from llmops.registry.manifest import Draft, Lineage, Manifest
from llmops.registry.store import Registry
from llmops.registry.template import template_of
from llmops.spec.source import display

Made = TypeVar("Made", Merged, Compressed)


@dataclass(frozen=True)
class Published(Generic[Made]):
    """A registered version, how it was made, and how its golden prompts compare with those of the
    version that it was made of; None where no engine looked."""

    manifest: Manifest
    made: Made
    compared: Compared | None


def merge_version(
    text: str,
    registry: Registry,
    *,
    to: str | None = None,
    environment: Environment | None,
    progress: Progress | None = None,
) -> Published[Merged]:
    """Register base + adapter of the version `text` as a full version of model `to` (its own when
    None). environment: of the training engine, which compares both; None: nobody does.

    Raises BadInput for a version that is no adapter or cannot be merged; Failed when the disk is
    too small, or the merged model says something else.
    """
    before = _adapter(text, registry, "merged")
    base = before.files.directory
    name = _named(to, before)
    size = sum((base / file).stat().st_size for file in model_files(base, "full"))
    check_disk(registry, 2 * size)
    with _making(registry) as folder:
        assert before.base_digest is not None
        made = merge(before.files, before.base_digest, folder, progress)
        dtype = stored_dtype(base)
        found = _compared(before, ModelFiles(folder), environment, dtype)
        if found is not None:
            check_merged(found, dtype)
        draft = _draft(before, name, "merge", environment, found)
        draft.metrics.update(merge_modules=made.modules, merge_lost=made.lost)
        draft = draft.model_copy(update={"kind": "full", "dtype": dtype})
        return Published(registry.add(draft, folder, progress), made, found)


def compress_version(
    text: str,
    rank: int,
    registry: Registry,
    *,
    to: str | None = None,
    largest: float | None = None,
    environment: Environment | None,
) -> Published[Compressed]:
    """Register the adapter version `text` with rank `rank`, as a version of model `to` (its own
    when None). largest: refuse a larger error (the share of what it adds that is lost);
    environment: as of `merge_version`.

    Raises BadInput for a version that is no adapter or has no higher rank, GateRefused when the
    error is larger.
    """
    before = _adapter(text, registry, "compressed")
    assert before.files.adapter is not None
    name = _named(to, before)
    with _making(registry) as folder:
        made = compress(before.files.adapter, rank, folder)
        if largest is not None and not made.error <= largest:
            raise GateRefused(
                f"rank {rank} loses {made.error:.2%} of what {before.id} adds, --max-error allows "
                f"{largest:.2%}: nothing was registered",
                fix=f"name a larger rank, below {made.before}",
            )
        files = ModelFiles(before.files.directory, folder)
        dtype = stored_dtype(files.directory)
        found = _compared(before, files, environment, dtype)
        draft = _draft(before, name, "compress", environment, found)
        draft.metrics["compress_error"] = made.error
        draft = draft.model_copy(update={"base": before.base, "base_digest": before.base_digest})
        return Published(registry.add(draft, folder), made, found)


def _adapter(text: str, registry: Registry, what: str) -> Located:
    manifest = registry.resolve(text)
    if manifest.kind != "adapter":
        raise BadInput(
            f"{manifest.id} is a full model: there is nothing to be {what}",
            fix="name an adapter version; `llmops models list` shows the kind of each",
        )
    registry.verify(manifest)
    return located(manifest, registry)


def _named(to: str | None, before: Located) -> str:
    assert before.manifest is not None
    name = to or before.manifest.name
    check_names(name, None)
    return name


def _compared(
    before: Located, made: ModelFiles, environment: Environment | None, dtype: str
) -> Compared | None:
    if environment is None:
        return None
    assert before.manifest is not None
    prompts = [golden.messages or golden.text for golden in before.manifest.golden]
    return compared(before.files, made, prompts, environment, dtype)


def _draft(
    before: Located,
    name: str,
    stage: str,
    environment: Environment | None,
    found: Compared | None,
) -> Draft:
    """Of an adapter; the licences of what went into it go on."""
    manifest = before.manifest
    assert manifest is not None
    template, metrics = manifest.template, {}
    if found is not None and found.difference is not None:
        metrics["logprob_difference"] = found.difference
    return Draft(
        name=name,
        kind="adapter",
        stage=stage,
        template=template_of(before.files.directory, template.name if template else None),
        licences=made_from(before),
        golden=found.golden if found else [],
        metrics=metrics,
        lineage=Lineage(
            parent=str(manifest.id),
            packages=packages(environment),
            engine=environment.engine if environment else None,
            engine_version=environment.version if environment else None,
        ),
    )


@contextmanager
def _making(registry: Registry) -> Iterator[Path]:
    models = registry.paths.models
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=".making-") as folder:
        yield Path(folder)


def check_disk(registry: Registry, need: int) -> None:
    """Raises Failed when fewer than `need` bytes are free. What is made is copied into the
    registry: for a moment it is there twice."""
    free = shutil.disk_usage(registry.paths.models).free
    if need > free:
        raise Failed(
            f"merging needs about {size_text(need)} of disk, {size_text(free)} are free",
            where=display(registry.paths.models),
            fix="free some space (`llmops models gc`, `llmops cache gc`) and run it again",
        )
