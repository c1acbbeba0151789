"""Files of a version from the Hub into a directory, each as far as it came: what a cut, or the end
of this process, leaves of one is gone on with, and what its sha256 does not bear out is thrown
away. (huggingface_hub itself keeps nothing of a download whose process ended.)"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from llmops.errors import Failed
from llmops.registry.hub.client import asked
from llmops.registry.remote.repository import Entry, Repository
from llmops.store.atomic import full_disk, sync_file
from llmops.store.digest import sha256_file

PART = ".part"
_TOLD = 4 << 20
"""Bytes between two words of progress."""

Progress = Callable[[str, int, int], None]


def download(
    names: Mapping[str, str],
    commit: str,
    tree: Mapping[str, Entry],
    remote: Repository,
    folder: Path,
    progress: Progress | None = None,
) -> None:
    """names: sha256 by name. progress: called with a file's name, its bytes so far and its size.

    Raises HubAway when it is cut off, to be called again; Failed when a file is another than its
    sha256 says, or the disk is full.
    """
    with full_disk(folder):
        for name, sha256 in names.items():
            if not (folder / name).is_file():
                told = partial(progress, name) if progress else None
                _one(name, sha256, commit, tree[name].size, remote, folder, told)


def _one(
    name: str,
    sha256: str,
    commit: str,
    size: int,
    remote: Repository,
    folder: Path,
    told: Callable[[int, int], None] | None,
) -> None:
    part = folder / f"{name}{PART}"
    asked(lambda: _go_on(name, commit, size, remote, part, told), remote.where, say=remote.say)
    if sha256_file(part) != sha256:
        part.unlink()
        raise Failed(
            f"`{name}` did not arrive as it was registered",
            where=remote.where,
            fix="pull again; if it stays so, what lies there is damaged: look at its commits",
        )
    sync_file(part)
    part.rename(folder / name)


def _go_on(
    name: str,
    commit: str,
    size: int,
    remote: Repository,
    part: Path,
    told: Callable[[int, int], None] | None,
) -> None:
    from huggingface_hub import get_session, hf_raise_for_status

    done = part.stat().st_size if part.is_file() else 0
    if done == size > 0:
        return
    headers = remote.headers() | {"Accept-Encoding": "identity"}
    if 0 < done < size:
        headers["Range"] = f"bytes={done}-"
    with get_session().stream("GET", remote.url(name, commit), headers=headers) as answer:
        hf_raise_for_status(answer)
        done = done if answer.status_code == 206 else 0
        with part.open("ab" if done else "wb") as file:
            for chunk in answer.iter_bytes():  # as it comes: what is gathered is lost in a cut
                file.write(chunk)
                done += len(chunk)
                if told is not None and (
                    done == size or done // _TOLD > (done - len(chunk)) // _TOLD
                ):
                    told(done, size)
