"""A version comes from the Hub: under the number that it has there, checked like any that is
registered, whole or not at all. With it comes what was measured and said of it; its aliases only
on demand, as moves of this project's own."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from llmops.environments.machine import size_text
from llmops.errors import BadInput, Failed, NotFound
from llmops.registry.files import check_code
from llmops.registry.hub.listing import HubFile
from llmops.registry.hub.transfer import Blob
from llmops.registry.index import MANIFEST
from llmops.registry.integrity import seal_of
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.remote.layout import ALIASES, PULLED, number_of, standing, tag
from llmops.registry.remote.place import declared
from llmops.registry.remote.records import take_over
from llmops.registry.remote.repository import Entry, Look, Repository
from llmops.registry.remote.seen import Seen, remember
from llmops.registry.store import Registry
from llmops.spec.reference import NAME, Reference
from llmops.spec.settings import Settings
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.atomic import full_disk
from llmops.store.digest import sha256_tree

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.(safetensors|json|jinja|txt|model)")
"""What a file of a version can be called; exactly which are its files is for intake to say."""


@dataclass(frozen=True)
class Pulled:
    """new: whether it was not here before. aliases: those that name it there."""

    version: str
    new: bool
    aliases: list[str]


def pull(
    text: str,
    repository: str,
    registry: Registry,
    settings: Settings,
    *,
    aliases: bool = False,
    as_base: bool = False,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> Pulled:
    """Bring NAME (the newest), NAME:vN or NAME@alias (as it stands there) from ORG/REPO, and the
    base of an adapter where llmops.toml says from where. aliases: those that name it there name it
    here, too; such a move is recorded as `pull ORG/REPO`. as_base: an adapter is refused.

    Raises HubAway to be called again, when it goes on; NotFound for what is not there; Failed when
    another version has its number here, or it is no servable model.
    """
    name, part = _parsed(text)
    remote = Repository(repository, say)
    look = remote.look()
    tree = remote.tree(look.head)
    log = remote.small_file(ALIASES, look.head, tree)
    stands = standing(log, remote.where)
    number = _number(name, part, look, stands, remote)
    commit = look.tags[tag(number)]
    files = remote.tree(commit)
    version = _manifest(VersionId(name, number), remote.small_file(MANIFEST, commit, files), remote)
    if as_base and version.kind != "full":  # it may name itself
        raise Failed(
            f"{version.id} is an adapter; the base of an adapter is a full model",
            where=remote.where,
            fix="do not use this repository before you know who changed it",
        )
    _check_names(version, files, remote)
    new = not _is_here(version, registry)
    if new:
        _base(version, registry, settings, progress, say)
        new = _bring(version, commit, files, remote, registry, progress)
        _tell_code(version, registry, say)
    take_over(version.id, lambda log: remote.small_file(log, look.head, tree), registry.paths)
    named = sorted(alias for alias, of in stands.items() if of == str(version.id))
    for alias in named if aliases else ():
        registry.move(name, alias, number, why=f"as in {repository}", by=f"{PULLED}{repository}")
    remember(Seen.of(repository, look, log), name, registry.paths)
    return Pulled(str(version.id), new, named)


def _parsed(text: str) -> tuple[str, str]:
    """The model, and `vN`, an alias or nothing."""
    match = re.fullmatch(rf"({NAME})(?::(v[1-9][0-9]*)|@({NAME}))?", text)
    if match is None:
        raise BadInput(f"`{text}` does not name what to pull", fix="NAME, NAME:vN or NAME@alias")
    return match[1], match[2] or match[3] or ""


def _number(name: str, part: str, look: Look, stands: Mapping[str, str], remote: Repository) -> int:
    there = sorted(filter(None, map(number_of, look.tags)))
    number: int | None = there[-1] if there and not part else number_of(part)
    if number is None:
        number = next((one for one in there if stands.get(part) == f"{name}:{tag(one)}"), None)
    if number in there:
        assert number is not None
        return number
    sign = ":" if number_of(part) else "@" if part else ""
    if part in stands:
        what = f"{name}@{part} is {stands[part]}, which was not pushed to {remote.id}"
    else:
        what = f"{remote.id} holds no such version: {name}{sign}{part}"
    known = [f"{name}:{tag(one)}" for one in there] + [f"{name}@{one}" for one in stands]
    listed = ", ".join(f"`{one}`" for one in known[-8:])
    fix = did_you_mean(f"{name}{sign}{part}", known) or (
        f"it has {listed}" if known else "push one"
    )
    raise NotFound(what, where=remote.where, fix=fix)


def _manifest(version: VersionId, text: str, remote: Repository) -> Manifest:
    try:
        found = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise Failed(
            f"what the repository knows of {version} cannot be read",
            where=f"{remote.where}@{tag(version.number)}",
            fix="look at its manifest.json; a newer llmops may have written it",
        ) from error
    if found.id != version:
        raise Failed(
            f"its manifest is not that of {version}, but of {found.id}",
            where=f"{remote.where}@{tag(version.number)}",
            fix="name the model as it is called there, or another repository: --from ORG/REPO",
        )
    sealed = found.seal in (None, seal_of(json.loads(text)))
    if not sealed or found.digest != sha256_tree(found.files):
        raise Failed(
            f"the manifest of {version} is not as it was registered",
            where=f"{remote.where}@{tag(version.number)}",
            fix="do not use this repository before you know who changed it",
        )
    return found


def _check_names(version: Manifest, tree: Mapping[str, Entry], remote: Repository) -> None:
    """Before anything is written: no name leads anywhere, and each file is there."""
    for name in version.files:
        if not _FILE.fullmatch(name) or name == MANIFEST or name not in tree:
            raise Failed(
                f"`{name}` cannot be a file of {version.id}, or is not there",
                where=remote.where,
                fix="do not use this repository before you know who changed it",
            )


def _is_here(version: Manifest, registry: Registry) -> bool:
    if not registry.paths.version(version.name, version.number).exists():
        return False
    here = registry.get(version.id)  # tells of one that was deleted
    if here.digest == version.digest:
        return True
    raise Failed(
        f"another {version.id} is registered here; nothing was pulled",
        fix="numbers are given by each machine for itself: pull it into another project, or "
        f"`hf download` it and `llmops models add {version.name} DIRECTORY`",
    )


def _base(
    version: Manifest, registry: Registry, settings: Settings, progress: Progress | None, say: Say
) -> None:
    """The base of an adapter is here first, if it is a version of a registry."""
    named = version.base or ""
    if named.startswith("path:") and not (registry.root / named.removeprefix("path:")).is_dir():
        say(f"its base is a directory, {named}, which does not come along: put it there")
    try:
        base = VersionId.parse(named)
    except ValueError:
        return
    if registry.known(str(base)) is not None:
        return
    repository = declared(base.name, settings)
    if repository is None:
        raise BadInput(
            f"{version.id} is an adapter on {base}, which is not here",
            fix=f"`llmops models pull {base} --from ORG/REPO` first, or declare where it lies: "
            f'[hub] repositories.{base.name} = "ORG/REPO"',
        )
    say(f"its base {base} comes first, from {repository}")
    pull(str(base), repository, registry, settings, as_base=True, progress=progress, say=say)


def _bring(
    version: Manifest,
    commit: str,
    tree: Mapping[str, Entry],
    remote: Repository,
    registry: Registry,
    progress: Progress | None,
) -> bool:
    """Whether nobody else brought it meanwhile."""
    from filelock import FileLock, Timeout

    folder: Path = registry.paths.pulled(version.name, version.digest)
    lock = FileLock(registry.paths.lock(f"pull-{version.name}"))
    try:
        with lock.acquire(timeout=0):
            if _is_here(version, registry):
                return False
            folder.mkdir(parents=True, exist_ok=True)
            _refuse_small_disk(version, tree, folder)
            with full_disk(folder):
                for file in _files(version, tree):
                    _download(file, Reference("hub", remote.id, commit), folder, progress)
            registry.take_in(version, folder)
            return True
    except Timeout:
        raise Failed(
            f"{version.name} is being pulled already", fix="wait until that has ended"
        ) from None


def _tell_code(version: Manifest, registry: Registry, say: Say) -> None:
    """Who added it may have known it; who pulls it is to."""
    try:
        check_code(registry.directory(version))
    except BadInput as error:
        say(f"warning: {error.what}; it is fetched and run where `trust_remote_code` is set")


def _refuse_small_disk(version: Manifest, tree: Mapping[str, Entry], folder: Path) -> None:
    """Before a disk is full that others write to."""
    there = sum(file.stat().st_size for file in folder.iterdir())
    need = sum(file.size for file in _files(version, tree)) - there
    free = shutil.disk_usage(folder).free
    if need > free:
        raise Failed(
            f"{version.id} needs {size_text(need)} of disk, {size_text(free)} are free",
            where=display(folder.parent),
            fix="free some space (`llmops models gc`, `llmops cache gc`) and pull again",
        )


def _files(version: Manifest, tree: Mapping[str, Entry]) -> list[HubFile]:
    """The small ones first. The manifest is compared with what the Hub says of it."""
    known = tree[MANIFEST]
    files = [HubFile(name, tree[name].size, sha256) for name, sha256 in version.files.items()]
    files.append(HubFile(MANIFEST, known.size, known.sha256 or known.git))
    return sorted(files, key=lambda one: one.size)


def _download(file: HubFile, at: Reference, folder: Path, progress: Progress | None) -> None:
    def told(done: int) -> None:
        if progress is not None:
            progress(file.name, done, file.size)

    if not (folder / file.name).is_file():
        Blob(at, file, folder / f"{file.name}.part", folder / file.name).bring(told)
