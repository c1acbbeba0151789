"""Which versions are pushed, and which repository a model goes to and comes from."""

import re

from llmops.errors import BadInput
from llmops.registry.manifest import Manifest
from llmops.registry.remote.seen import seen
from llmops.registry.store import Registry
from llmops.spec.settings import REPOSITORY, Settings
from llmops.store.paths import ProjectPaths


def repository_of(name: str, settings: Settings, given: str | None = None) -> str:
    """ORG/REPO as it is given, else as llmops.toml declares it, else as it was used last.

    Raises BadInput when nothing tells.
    """
    if given is not None:
        if not re.fullmatch(REPOSITORY, given):
            raise BadInput(f"`{given}` is not of the form ORG/REPO", fix="such as acme/town")
        return given
    found = declared(name, settings)
    if found is None:
        raise BadInput(
            f"nothing says which Hub repository holds `{name}`",
            fix="name it (ORG/REPO), or declare it in llmops.toml: [hub] organization = "
            f'"ORG", or repositories.{name} = "ORG/REPO"',
        )
    return found


def declared(name: str, settings: Settings) -> str | None:
    """None where neither llmops.toml nor an earlier push or pull tells."""
    if (found := settings.hub.repository(name)) is not None:
        return found
    known = seen(name, ProjectPaths(settings.root))
    return known.repository if known else None


def chosen(text: str, registry: Registry, *, every: bool = False) -> list[Manifest]:
    """The versions that NAME, NAME:vN or NAME@alias asks to push, oldest first. NAME is its newest,
    or with `every` all of them.

    Raises BadInput when there is none, or when `every` is asked of one version.
    """
    if ":" in text or "@" in text:
        if every:
            raise BadInput(f"--all pushes all versions of a model, not `{text}`", fix="name NAME")
        return [registry.resolve(text)]
    versions = registry.versions(text)
    if not versions:
        raise registry.no_model(text)
    return versions if every else versions[-1:]
