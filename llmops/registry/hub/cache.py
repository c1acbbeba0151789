"""What of the Hub lies in this user's Hugging Face cache: `hub:ORG/NAME@REV`, by its files alone.

Nothing is asked or downloaded here and huggingface_hub is not imported. The cache's layout, and
where it lies, as huggingface_hub writes and looks them up (its constants.py, file_download.py):

    HUB/models--ORG--NAME/refs/REV              the commit that a branch or tag names here
    HUB/models--ORG--NAME/snapshots/COMMIT/     links into blobs/
    HUB/datasets--ORG--NAME/                    the same, of data
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from llmops.errors import BadInput
from llmops.spec.reference import Reference, parse_reference
from llmops.spec.source import display
from llmops.store.digest import Digests

_COMMIT = re.compile(r"[0-9a-f]{40}")


class NotCached(BadInput):
    """A repository, or files of it, that would have to be downloaded. reference: with the commit,
    where that is known here."""

    def __init__(
        self, what: str, *, where: str = "", fix: str = "", reference: Reference | None = None
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.reference = reference


def not_cached(error: BaseException | None) -> Reference | None:
    """What would have to be downloaded, where that is at the bottom of an error."""
    while error is not None:
        if isinstance(error, NotCached) and error.reference is not None:
            return error.reference
        error = error.__cause__
    return None


def parse_hub(text: str) -> Reference:
    """Raises BadInput when `text` is no hub:ORG/NAME@REV."""
    try:
        found = parse_reference(text)
    except ValueError as error:
        raise BadInput(str(error)) from None
    if found.scheme != "hub":
        raise BadInput(f"`{text}` is not at the Hub", fix="expected hub:ORG/NAME@REV")
    return found


def cached(reference: Reference, environ: Mapping[str, str] = os.environ) -> tuple[Reference, Path]:
    """`reference` pinned to the commit that its revision is here, and that snapshot's directory; of
    one that names a file the path of that.

    Raises NotCached, naming what was looked for, when it is not in the cache.
    """
    revision = reference.part
    folder = repository(reference, environ)
    commit = revision if is_commit(revision) else _commit(folder / "refs", revision)
    looked = folder / "refs" / revision if commit is None else folder / "snapshots" / commit
    looked = looked / reference.file if commit is not None else looked
    if commit is None or not looked.exists():
        raise NotCached(
            f"{reference} is not in this machine's Hugging Face cache: no {display(looked)}",
            fix=f"{download(reference)}; or name what is here, `path:...`; the cache is looked for "
            "by HF_HUB_CACHE, else HF_HOME",
            reference=reference,
        )
    return replace(reference, part=commit), looked


@dataclass(frozen=True)
class CachedFile:
    """A file of data. id: hub:ORG/NAME@COMMIT:FILE; digest: sha256 of its content."""

    id: str
    digest: str
    path: Path


def cached_file(reference: Reference, digests: Digests) -> CachedFile:
    """The file of data that `reference` names. Raises NotCached."""
    pinned, path = cached(reference)
    return CachedFile(str(pinned), digests.file(path), path)


def download(reference: Reference) -> str:
    """The command that brings it."""
    return f"`llmops models download {reference}`"


def is_commit(revision: str) -> bool:
    return _COMMIT.fullmatch(revision) is not None


def repository(reference: Reference, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the cache keeps a repository: one of data for a reference that names a file."""
    kind = "datasets" if reference.file else "models"
    return hub_cache(environ) / f"{kind}--{reference.target.replace('/', '--')}"


def hub_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Where this user's Hub downloads lie."""
    named = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(os.path.expandvars(named)).expanduser()
    home = environ.get("HF_HOME")
    if not home:
        home = f"{environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def _commit(refs: Path, revision: str) -> str | None:
    try:
        text = (refs / revision).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return text if _COMMIT.fullmatch(text) else None
