"""A version as files for another tool: safetensors, GGUF, or what Ollama makes a model of.

An export is a directory that is whole or absent; `llmops-export.json` in it says what it was made
of and which file has which sha256. Nothing else is replaced, and that only when asked for.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from llmops.engines.contract import ModelFiles
from llmops.errors import BadInput
from llmops.publish.gguf_files import TYPES, write_adapter, write_model
from llmops.publish.modelfile import modelfile
from llmops.registry.files import model_files
from llmops.registry.intake import copy_files
from llmops.registry.locate import located
from llmops.registry.manifest import Manifest
from llmops.registry.store import Registry
from llmops.spec.source import display
from llmops.store.atomic import new_directory, write_json, write_text
from llmops.store.digest import sha256_file

FORMS = ("ollama", "gguf", "safetensors")
RECORD = "llmops-export.json"


def export(
    text: str,
    form: str,
    target: Path,
    registry: Registry,
    *,
    force: bool = False,
    kind: str | None = None,
    source: str | None = None,
) -> list[str]:
    """Write the version `text` into the new directory `target`; warnings. force: in place of an
    earlier export; kind: of gguf_files.TYPES, for weights as GGUF; source: of an adapter for
    Ollama, the model that Ollama has already and that is its base.

    Raises BadInput when something is there, or the form cannot say what the version is; Failed
    when it is damaged.
    """
    for asked, known in ((form, FORMS), (kind or "f16", tuple(TYPES))):
        if asked not in known:
            raise BadInput(f"`{asked}` cannot be written", fix=f"one of: {', '.join(known)}")
    manifest = registry.resolve(text)
    found = located(manifest, registry)
    for one in (manifest, registry.known(found.base)):
        if one is not None:
            registry.verify(one)
    with _replaced(target, force) as folder:
        warnings = _written(folder, form, manifest, found.files, kind, source)
        files = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
        record = {
            "version": str(manifest.id),
            "digest": manifest.digest,
            "base": found.base,
            "base_digest": found.base_digest,
            "format": form,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
        }
        write_json(folder / RECORD, record)
        for path in folder.iterdir():
            path.chmod(0o644)
    return warnings


def _written(
    folder: Path,
    form: str,
    manifest: Manifest,
    files: ModelFiles,
    kind: str | None,
    source: str | None,
) -> list[str]:
    """Fill the folder. Returns warnings."""
    own = files.adapter or files.directory
    name = str(manifest.id)
    alone = [f"it is an adapter: its base, {manifest.base}, is exported by itself"]
    if form == "safetensors":
        copy_files(own, model_files(own, manifest.kind), folder, None)
        return alone if files.adapter else []
    model = folder / "model.gguf"
    if files.adapter is not None:
        write_adapter(files, folder / "adapter.gguf", name)
        if form == "gguf":
            return alone
        model = folder / "base.gguf"
    if source is None:
        write_model(files.directory, model, manifest.base or name, kind)
    adapter = "./adapter.gguf" if files.adapter else None
    if form == "gguf":
        return []
    said, warning = modelfile(files.directory, source or f"./{model.name}", adapter)
    write_text(folder / "Modelfile", said)
    return [warning] if warning else []


@contextmanager
def _replaced(target: Path, force: bool) -> Iterator[Path]:
    """A directory that becomes `target` when the block succeeds."""
    target = target.resolve()  # of a link what it leads to is replaced
    there = target.exists()
    if there and not (force and (target / RECORD).is_file()):
        raise BadInput(
            "something is there already" + (", and it is no export" if force else ""),
            where=display(target),
            fix="name another directory" + ("" if force else ", or `--force` to replace an export"),
        )
    fresh, old = (target.with_name(f".{target.name}.{part}") for part in ("new", "old"))
    shutil.rmtree(fresh, ignore_errors=True)
    with new_directory(fresh if there else target) as folder:
        yield folder
    shutil.rmtree(old, ignore_errors=True)
    if there:
        target.rename(old)  # first: half of an export would be neither that nor replaced again
        fresh.rename(target)
        shutil.rmtree(old)
