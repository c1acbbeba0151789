"""Where the model lies that a reference names, for training and for serving.

Knows versions (NAME:vN), aliases (NAME@alias), directories (path:DIR) and what the user's Hugging
Face cache holds (hub:ORG/NAME@REV). `recipe:` and `stage:` are resolved by the runner before it
comes here. Reads only; file hashes are remembered by `Digests`, which the caller saves.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from llmops.engines.contract import ModelFiles
from llmops.errors import BadInput, Failed
from llmops.registry.adapters import Adapter, check_fits, read_adapter
from llmops.registry.files import headers, kind_of, model_files, read_json
from llmops.registry.hub.cache import NotCached, cached, download, not_cached
from llmops.registry.manifest import Manifest
from llmops.registry.store import Registry
from llmops.spec.load import resolve_path
from llmops.spec.reference import Reference, parse_reference
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean, nearest
from llmops.store.digest import sha256_tree

_VERSION = r"[a-z0-9][a-z0-9._-]{0,63}:v[1-9][0-9]*"
_HUB_NAME = r"[\w-][\w.-]*/[\w-][\w.-]*"


@dataclass(frozen=True)
class Located:
    """A model that exists. id: NAME:vN, path:DIR (relative to the project if below it) or
    hub:ORG/NAME@COMMIT; kind: full or adapter; digest: sha256 over its files; base, base_digest:
    of an adapter's."""

    id: str
    manifest: Manifest | None
    files: ModelFiles
    kind: str
    digest: str
    base: str | None = None
    base_digest: str | None = None


def locate(
    text: str, registry: Registry, root: Path, beside: Path | None = None, where: str = ""
) -> Located:
    """The model that `text` names. beside: the file that says so, for a relative path:DIR (the
    working directory when None); root: the project's directory, looked in after that; where: the
    place in that file, for errors.

    Raises BadInput when there is none or it cannot be used, Failed when the registry is damaged.
    """
    try:
        return _locate(text, registry, root, beside)
    except BadInput as error:
        if not where:
            raise
        raise BadInput(error.line, where=where, fix=error.fix) from error


def located(manifest: Manifest, registry: Registry) -> Located:
    """Where the files of a registered version lie. Raises as `locate`."""
    return _version(manifest, registry, registry.root)


def _locate(text: str, registry: Registry, root: Path, beside: Path | None) -> Located:
    try:
        reference = parse_reference(text)
    except ValueError as error:
        known = (str(row.id) for name in registry.names() for row in registry.rows(name))
        raise BadInput(str(error), fix=did_you_mean(text, known, listing=0)) from None
    if reference.scheme in ("version", "alias"):
        return _version(registry.resolve(text), registry, root)
    if reference.scheme == "path":
        beside = beside or Path.cwd() / "-"
        found = resolve_path(reference.target, beside=beside, root=root)
        if found is None:
            raise _no_directory(reference.target, registry, (beside.parent, root))
        return _directory(found, _id(found, root), registry, root)
    if reference.scheme == "hub":
        return _hub(reference, registry, root)
    raise BadInput(
        f"`{text}` does not name a model that exists; expected NAME:vN, NAME@alias, path:DIR "
        "or hub:ORG/NAME"
    )


def _no_directory(text: str, registry: Registry, folders: tuple[Path, ...]) -> BadInput:
    """With the places where it was looked for, and what it may have been meant for."""
    places = dict.fromkeys(folder.resolve() / Path(text).expanduser() for folder in folders)
    beside = [one.name for place in places for one in _folders(place.parent)]
    fix = f"looked for {' and '.join(display(place) for place in places)}"
    if registry.has(text):
        fix += f"; the model `{text}` is in the registry: write `{registry.rows(text)[-1].id}`"
    elif near := nearest(Path(text).name, beside):
        fix += f"; there is `{near}`"
    elif re.fullmatch(_HUB_NAME, text):
        fix += f"; a model of the Hub is written `hub:{text}`"
    return BadInput("no such directory", where=f"path:{text}", fix=fix)


def _folders(place: Path) -> list[Path]:
    return [one for one in place.iterdir() if one.is_dir()] if place.is_dir() else []


def locate_base(text: str, registry: Registry, root: Path, beside: Path | None = None) -> Located:
    """As `locate`, for the base of an adapter, which may be a bare DIR too.

    Raises BadInput when it is an adapter itself.
    """
    try:
        parse_reference(text)
    except ValueError:
        text = f"path:{text}"
    found = locate(text, registry, root, beside)
    if found.kind != "full":
        raise BadInput(
            f"{found.id} is an adapter; the base of an adapter is a full model",
            fix=f"its own base is {found.base}",
        )
    return found


def _version(manifest: Manifest, registry: Registry, root: Path) -> Located:
    directory = registry.directory(manifest)
    _has_files(manifest, directory)
    if manifest.kind == "full":
        files = ModelFiles(directory)
        return Located(str(manifest.id), manifest, files, "full", manifest.digest)
    try:
        base = locate_base(manifest.base or "", registry, root, root / "-")
    except BadInput as error:
        raise BadInput(
            f"the base of {manifest.id} cannot be used: {error.what}",
            where=error.where or f"{manifest.base}",
            fix=error.fix,
        ) from error
    if manifest.base_digest is not None and base.digest != manifest.base_digest:
        raise Failed(
            f"{manifest.id} is an adapter on another state of its base {base.id}",
            where=display(base.files.directory),
            fix="put the model back that it was trained on (sha256 of the directory "
            f"{manifest.base_digest[:12]}…, found {base.digest[:12]}…)",
        )
    files = ModelFiles(base.files.directory, directory)
    return Located(
        str(manifest.id), manifest, files, "adapter", manifest.digest, base.id, base.digest
    )


def _hub(reference: Reference, registry: Registry, root: Path) -> Located:
    pinned, directory = cached(reference)
    try:
        return _directory(directory, str(pinned), registry, root)
    except BadInput as error:
        if not_cached(error):  # its base is not here
            raise
        # The download was of some files only, or was cut off.
        brings = f"{download(pinned)} brings what is missing"
        fix = f"{error.fix}; {brings}" if error.fix else brings
        raise NotCached(error.what, where=error.where, fix=fix, reference=pinned) from error


def _directory(directory: Path, id: str, registry: Registry, root: Path) -> Located:
    kind = kind_of(directory)
    names = model_files(directory, kind)
    digest = sha256_tree(registry.digests.tree(directory, names))
    if kind == "full":
        read_json(directory / "config.json")
        headers(directory, names)
        return Located(id, None, ModelFiles(directory), kind, digest)
    adapter = read_adapter(directory)
    base = adapter_base(adapter, directory, registry, root)
    check_fits(adapter, directory, base.files.directory)
    files = ModelFiles(base.files.directory, directory)
    return Located(id, None, files, kind, digest, base.id, base.digest)


def adapter_base(adapter: Adapter, directory: Path, registry: Registry, root: Path) -> Located:
    """The base that an adapter's own config names: a directory, a version of this registry, or
    ORG/NAME, as adapters from the Hub do.

    Raises BadInput when it names none that is here.
    """
    fix = f"add it with its base: `llmops models add NAME {display(directory)} --base BASE`"
    if not adapter.base:
        raise BadInput("the adapter names no base", where=display(directory), fix=fix)
    text = adapter.base
    beside = directory / "-"
    if re.fullmatch(_HUB_NAME, text) and resolve_path(text, beside=beside, root=root) is None:
        text = f"hub:{text}"
    if not re.fullmatch(_VERSION, text) and not text.startswith(("path:", "hub:")):
        text = f"path:{text}"
    try:
        return locate_base(text, registry, root, beside)
    except BadInput as error:
        raise BadInput(
            f"the adapter's base `{adapter.base}` cannot be used: {error.what}",
            where=display(directory),
            fix=fix,
        ) from error


def _id(directory: Path, root: Path) -> str:
    root = root.resolve()
    inside = directory.is_relative_to(root)
    return f"path:{directory.relative_to(root) if inside else directory}"


def _has_files(manifest: Manifest, directory: Path) -> None:
    missing = [name for name in manifest.files if not (directory / name).is_file()]
    if missing:
        raise Failed(
            f"{manifest.id} is damaged: `{missing[0]}` is missing",
            where=display(directory),
            fix="see `llmops models verify`",
        )
