"""Registering a model that exists: from a download, another tool, another machine.

The model is checked as far as its files tell, and, where the training environment is installed,
run once for golden prompts. Does not download.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llmops.engines.contract import Environment, ModelFiles
from llmops.environments.packages import packages
from llmops.errors import BadInput
from llmops.registry.adapters import check_fits, read_adapter
from llmops.registry.aliases import check_alias
from llmops.registry.files import check_code, headers, kind_of, model_files, read_json
from llmops.registry.golden import compute_golden
from llmops.registry.licence import licence_of, made_from
from llmops.registry.locate import Located, adapter_base, locate_base
from llmops.registry.manifest import Draft, Golden, Lineage, Manifest
from llmops.registry.store import Registry
from llmops.registry.template import template_of
from llmops.registry.weights import dtype_of
from llmops.spec.reference import names_model
from llmops.spec.settings import Settings
from llmops.spec.source import display
from llmops.store.cache_paths import CachePaths


@dataclass(frozen=True)
class Existing:
    """A checked model that is not registered yet. base: of an adapter; dtype: that the model (for
    an adapter: its base) is stored in, by torch's name."""

    directory: Path
    kind: str
    files: ModelFiles
    dtype: str
    base: Located | None = None


def examine(
    path: Path, base: str | None, registry: Registry, root: Path, *, code: bool = False
) -> Existing:
    """What lies in directory `path`. base: of an adapter, as the user names it; else the one that
    the adapter's own config names. code: it may name code of its own. Reads only.

    Raises BadInput when it is no complete model, when vLLM cannot serve it, or without a base.
    """
    directory = path.expanduser().absolute()
    kind = kind_of(directory)
    names = model_files(directory, kind)
    headers(directory, names)
    if not code:
        check_code(directory)
    if kind == "full":
        if base is not None:
            raise BadInput(
                "this is a full model, which has no base",
                where=display(directory),
                fix="leave out --base",
            )
        return Existing(directory, kind, ModelFiles(directory), stored_dtype(directory))
    adapter = read_adapter(directory)
    if base is not None:
        found = locate_base(base, registry, root)
    else:
        found = adapter_base(adapter, directory, registry, root)
    check_fits(adapter, directory, found.files.directory)
    files = ModelFiles(found.files.directory, directory)
    return Existing(directory, kind, files, stored_dtype(files.directory), found)


def add_existing(
    name: str,
    model: Existing,
    registry: Registry,
    root: Path,
    *,
    environment: Environment | None,
    licence: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Manifest:
    """Register `model` as the next version of `name`. environment: of the training engine, which
    computes the golden prompts; without one nothing can later verify the version in a server.
    licence: of the model, in place of what its directory says."""
    golden: list[Golden] = []
    if environment is not None:
        (golden,) = compute_golden([model.files], environment, model.dtype)
    inside = model.directory.is_relative_to(root)
    source = model.directory.relative_to(root) if inside else model.directory
    draft = Draft(
        name=name,
        kind="adapter" if model.base else "full",
        stage="import",
        base=model.base.id if model.base else None,
        base_digest=model.base.digest if model.base else None,
        template=template_of(model.files.directory),
        licences=made_from(model.base).model_copy(
            update={"own": licence or licence_of(model.directory)}
        ),
        dtype=model.dtype,
        golden=golden,
        lineage=Lineage(
            imported_from=str(source),
            packages=packages(environment),
            engine=environment.engine if environment else None,
            engine_version=environment.version if environment else None,
        ),
    )
    return registry.add(draft, model.directory, progress)


def training_environment(settings: Settings) -> Environment | None:
    """The environment of the training engine; None when it is not installed.

    Raises BadInput when it is one of the user's own that cannot be used.
    """
    from llmops.environments.environment import find

    try:
        return find("llamafactory", settings, CachePaths(settings.cache))
    except BadInput:
        if settings.engine("llamafactory").python is not None:
            raise
        return None


def stored_dtype(directory: Path) -> str:
    """Of the full model in `directory`, by torch's name; of a quantized one, that its config
    computes in."""
    found = dtype_of(headers(directory, model_files(directory, "full")))
    config = read_json(directory / "config.json")
    return found or str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")


def check_names(name: str, alias: str | None) -> None:
    """Raises BadInput for a model name or an alias that cannot be one."""
    if not names_model(name):
        raise BadInput(
            f"`{name}` cannot be the name of a model",
            fix="a name is of lower-case letters, digits, `.`, `_` and `-`, at most 64, and none "
            "with which references begin (`path`, `hub`, `recipe`, `stage`, `preferences`)",
        )
    if alias is not None:
        check_alias(alias)
