"""A version goes to the Hub: its files on top of a commit, looked at there, then tagged; after it
the records of its model.

The tag is what makes it a version there, and the first tag of a number stands. A commit names the
one that it was made on, so of two machines at once one looks again; nothing is ever overwritten
but main's own files, which older commits keep.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from llmops.environments.machine import size_text
from llmops.errors import BadInput, Failed, NotFound
from llmops.registry.files import CARD
from llmops.registry.hub.errors import Conflict
from llmops.registry.index import MANIFEST
from llmops.registry.manifest import Manifest
from llmops.registry.remote.about import about
from llmops.registry.remote.card import card, with_aliases
from llmops.registry.remote.layout import (
    ALIASES,
    lines,
    lines_of,
    merged,
    number_of,
    records,
    standing,
    tag,
)
from llmops.registry.remote.repository import MAIN, Entry, Look, Repository
from llmops.registry.remote.seen import Seen, remember
from llmops.registry.store import Registry

TURNS = 12
"""How often others may come first; each time what they left is looked at."""

Say = Callable[[str], None]
Tree = Mapping[str, Entry]


@dataclass(frozen=True)
class Pushed:
    """new: whether the version was not there before. aliases: NAME:vN by alias, as they stand
    there now."""

    version: str
    repository: str
    new: bool
    aliases: Mapping[str, str]


def push(
    version: Manifest,
    repository: str,
    registry: Registry,
    *,
    public: bool = False,
    say: Say = lambda _: None,
) -> Pushed:
    """Bring a version and the records of its model to ORG/REPO, which is made, private unless
    `public`, if it is not there.

    Raises HubAway when it may work later; Failed when the version is damaged here, another one has
    its number there, or the Hub refuses; BadInput when ORG/REPO is public and `public` is not said.
    """
    remote = Repository(repository, say)
    there = _is_there(remote, public)
    registry.verify(version)  # gigabytes, which are not read while the Hub is away
    if not there:
        remote.create(private=not public)
    new = _version(version, remote, registry)
    log, look = _records(version.name, remote, registry)
    remember(Seen.of(repository, look, log), version.name, registry.paths)
    return Pushed(str(version.id), repository, new, standing(log))


def _is_there(remote: Repository, public: bool) -> bool:
    try:
        look = remote.look()
    except NotFound:
        return False
    if not look.private and not public:
        raise BadInput(
            f"{remote.id} is public: everyone reads what is pushed there",
            where=remote.where,
            fix="make it private on the Hub, or say that this is meant: --public",
        )
    return True


def _version(version: Manifest, remote: Repository, registry: Registry) -> bool:
    """Whether it was not there before."""
    own, folder = tag(version.number), registry.directory(version)
    for _ in range(TURNS):
        look = remote.look()
        tree = remote.tree(look.head)
        there = _on_main(look, remote, tree)
        _of_the_same_model(version, there, remote)
        if own in look.tags:
            if _differing(version, folder, remote.tree(look.tags[own])):
                raise _taken(version, remote)
            if _branch(version) in look.branches:  # of a push that was cut off after the tag
                remote.drop_branch(_branch(version))
            return False
        if there is not None and there.id == version.id and there.digest != version.digest:
            raise _taken(version, remote)  # its tag is yet to come
        try:
            _send(version, look, tree, there, remote, registry)
            return True
        except Conflict:
            continue
    raise _crowded(remote)


def _send(
    version: Manifest,
    look: Look,
    tree: Tree,
    there: Manifest | None,
    remote: Repository,
    registry: Registry,
) -> None:
    """there: the version that main holds. Raises Conflict when somebody else came first."""
    branch = _place(version, look, there)
    if branch != MAIN:
        remote.branch(branch, look.head)
    folder = registry.directory(version)
    add = _changed(version, look, tree, remote, registry)
    size = sum((folder / name).stat().st_size for name in version.files if name in add)
    remote.say(f"{version.id} goes to {remote.id}, {size_text(size)} of it")
    gone = (there.files.keys() - version.files.keys()) & tree.keys() if there else set()
    made = remote.commit(str(version.id), look.head, add=add, remove=gone, branch=branch)
    if wrong := _differing(version, folder, remote.tree(made)):
        raise Failed(
            f"`{wrong[0]}` is not there as it was sent",
            where=remote.where,
            fix="push it again; the version was not tagged",
        )
    remote.tag(tag(version.number), made)
    if branch != MAIN:
        remote.drop_branch(branch)


def _of_the_same_model(version: Manifest, there: Manifest | None, remote: Repository) -> None:
    if there is not None and there.name != version.name:
        raise BadInput(
            f"{remote.id} holds the model `{there.name}`, not `{version.name}`",
            where=remote.where,
            fix="a model has a repository of its own: --to ORG/REPO",
        )


def _place(version: Manifest, look: Look, there: Manifest | None) -> str:
    """main, unless that holds a newer version: then a branch that lives until the tag does."""
    newest = max(there.number if there else 0, *(number_of(one) or 0 for one in look.tags), 0)
    older = version.number < newest
    return _branch(version) if older else MAIN


def _branch(version: Manifest) -> str:
    return f"llmops-{tag(version.number)}-{version.digest[:8]}"


def _changed(
    version: Manifest, look: Look, tree: Tree, remote: Repository, registry: Registry
) -> dict[str, bytes | Path]:
    """What of the version and its card is not at its place yet."""
    folder = registry.directory(version)
    names = [*_differing(version, folder, tree), MANIFEST]
    moves = remote.small_file(ALIASES, look.head, tree)
    told = about(version, remote.id, standing(moves, remote.where), registry)
    if version.base and told.base is None:
        remote.say(f"its base {version.base} is on no Hub that is known here, and is needed there")
    return {name: folder / name for name in names} | {CARD: card(version, told).encode()}


def _on_main(look: Look, remote: Repository, tree: Tree) -> Manifest | None:
    """The version that main holds; None where it holds none that this llmops can read."""
    try:
        return Manifest.model_validate_json(remote.small_file(MANIFEST, look.head, tree))
    except ValidationError:
        return None


def _differing(version: Manifest, folder: Path, tree: Tree) -> list[str]:
    """Its files that are not there, or with another content."""
    return [
        name
        for name, sha256 in version.files.items()
        if name not in tree or not tree[name].holds(folder / name, sha256)
    ]


def _records(name: str, remote: Repository, registry: Registry) -> tuple[str, Look]:
    """Bring the records of both sides together on main; the moves of aliases, and the look."""
    logs = records(name, registry.paths)
    for _ in range(TURNS):
        look = remote.look()
        tree = remote.tree(look.head)
        there = {path: remote.small_file(path, look.head, tree) for path in (*logs, CARD)}
        now = {
            path: merged(lines(there[path]), lines_of(log), where=remote.where)
            for path, log in logs.items()
        }
        now[CARD] = with_aliases(there[CARD], standing(now[ALIASES]))
        add = {path: text.encode() for path, text in now.items() if text != there[path]}
        if not add:
            return now[ALIASES], look
        try:
            remote.commit(f"Records of {name}", look.head, add=add)
        except Conflict:
            continue
    raise _crowded(remote)


def _taken(version: Manifest, remote: Repository) -> Failed:
    return Failed(
        f"{remote.id} holds another {version.id}; nothing of it was changed",
        where=remote.where,
        fix=f"register yours under a number that is free (`llmops models add {version.name} "
        f"DIRECTORY`) and push that, or name another repository: --to ORG/REPO",
    )


def _crowded(remote: Repository) -> Failed:
    return Failed(
        f"others change {remote.id} all the time", where=remote.where, fix="push again later"
    )
