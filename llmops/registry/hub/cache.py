"""Models in the Hugging Face cache of this user: `hub:ORG/NAME@REV`, by its files alone.

Nothing is downloaded and huggingface_hub is not imported. The cache's layout, and where it lies, as
huggingface_hub writes and looks them up (its constants.py and file_download.py):

    HUB/models--ORG--NAME/refs/REV              the commit that a branch or tag names here
    HUB/models--ORG--NAME/snapshots/COMMIT/     links into blobs/
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from llmops.errors import BadInput
from llmops.spec.reference import Reference
from llmops.spec.source import display

_COMMIT = re.compile(r"[0-9a-f]{40}")


def cached(reference: Reference, environ: Mapping[str, str] = os.environ) -> tuple[Reference, Path]:
    """`reference` pinned to the commit that its revision is here, and that snapshot's directory.

    Raises BadInput, naming what was looked for, when it is not in the cache.
    """
    revision = reference.part
    folder = hub_cache(environ) / f"models--{reference.target.replace('/', '--')}"
    commit = revision if _COMMIT.fullmatch(revision) else _commit(folder / "refs", revision)
    if commit is None or not (folder / "snapshots" / commit).is_dir():
        looked = folder / "snapshots" / commit if commit else folder / "refs" / revision
        raise BadInput(
            f"{reference} is not in this machine's Hugging Face cache: no {display(looked)}",
            fix=f"{download(reference)}; or name a directory, `path:DIR`; the cache is looked for "
            "by HF_HUB_CACHE, else HF_HOME",
        )
    return Reference("hub", reference.target, commit), folder / "snapshots" / commit


def download(reference: Reference) -> str:
    """The command that brings it."""
    return f"`hf download {reference.target} --revision {reference.part}`"


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
