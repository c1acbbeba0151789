"""A model's repository on the Hub: its refs, trees and texts, and commits to it that lose nobody
else's. Each call is tried again while the Hub is busy (hub/client.py)."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from llmops.errors import NotFound
from llmops.registry.hub.client import asked, hub, small_file
from llmops.registry.hub.errors import Conflict

T = TypeVar("T")
MAIN = "main"


@dataclass(frozen=True)
class Entry:
    """A file as the Hub lists it. sha256: of a large file; git: the id of any other's content."""

    size: int
    sha256: str | None
    git: str

    def holds(self, file: Path, sha256: str) -> bool:
        """Whether its content is that of a local file, whose sha256 is known."""
        if self.sha256 is not None:
            return self.sha256 == sha256
        return self.size == file.stat().st_size and self.git == _git_id(file)


@dataclass(frozen=True)
class Look:
    """How a repository stands. head: the commit of main; tags, branches: commits by name."""

    head: str
    tags: Mapping[str, str]
    branches: Mapping[str, str]
    private: bool


class Repository:
    """ORG/NAME. say: told of pauses. Everything raises HubAway, Failed or NotFound in the words of
    hub/client.py."""

    def __init__(self, id: str, say: Callable[[str], None] = lambda _: None) -> None:
        self.id = id
        self.where = f"hub:{id}"
        self._api = hub()
        self.say = say

    def look(self) -> Look:
        refs = self._asked(lambda: self._api.list_repo_refs(self.id))
        info = self._asked(lambda: self._api.repo_info(self.id, revision=MAIN))
        heads = {one.name: one.target_commit for one in refs.branches}
        tags = {one.name: one.target_commit for one in refs.tags}
        return Look(heads.get(MAIN) or str(info.sha), tags, heads, bool(info.private))

    def create(self, *, private: bool) -> None:
        """Unless it is there."""
        self._asked(lambda: self._api.create_repo(self.id, private=private, exist_ok=True))

    def tree(self, commit: str) -> dict[str, Entry]:
        """All files at a commit, by path."""
        from huggingface_hub.hf_api import RepoFile

        listed = self._asked(
            lambda: [*self._api.list_repo_tree(self.id, revision=commit, recursive=True)]
        )
        files = (one for one in listed if isinstance(one, RepoFile))
        return {
            one.path: Entry(one.size, one.lfs.sha256 if one.lfs else None, one.blob_id)
            for one in files
        }

    def small_file(self, path: str, commit: str, tree: Mapping[str, Entry]) -> str:
        """A small file of a commit, whose `tree` is known; empty when it is not there."""
        if path not in tree:
            return ""
        content = self._asked(lambda: small_file(self.id, path, commit))
        return content.decode("utf-8", errors="replace")

    def commit(
        self,
        message: str,
        parent: str,
        *,
        add: Mapping[str, bytes | Path],
        remove: Iterable[str] = (),
        branch: str = MAIN,
    ) -> str:
        """Files added by path and removed, on top of `parent`, as one; the new commit. What the Hub
        has of large files is not sent. Raises Conflict when `branch` has moved on from `parent`.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        def send() -> str:
            added = [CommitOperationAdd(path, content) for path, content in add.items()]
            removed = [CommitOperationDelete(path) for path in remove]
            made = self._api.create_commit(
                self.id,
                [*added, *removed],
                commit_message=message,
                parent_commit=parent,
                revision=branch,
            )
            return str(made.oid)

        with _bars():
            return self._asked(send)

    def tag(self, name: str, commit: str) -> None:
        """Raises Conflict when there is such a tag."""
        self._asked(lambda: self._api.create_tag(self.id, tag=name, revision=commit))

    def branch(self, name: str, commit: str) -> None:
        """A branch that begins at `commit`; what a crash left of that name goes."""

        def create() -> None:
            self._asked(lambda: self._api.create_branch(self.id, branch=name, revision=commit))

        try:
            create()
        except Conflict:
            self.drop_branch(name)
            create()

    def drop_branch(self, name: str) -> None:
        """Also when it is gone: of the call before only the answer was lost."""
        with suppress(NotFound):
            self._asked(lambda: self._api.delete_branch(self.id, branch=name))

    def _asked(self, call: Callable[[], T]) -> T:
        return asked(call, self.where, say=self.say)


@contextmanager
def _bars() -> Iterator[None]:
    """On a terminal the client's own, of each large file that goes."""
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None and sys.stderr.isatty():
        enable_progress_bars()
        try:
            yield
        finally:
            disable_progress_bars()
    else:
        yield


def _git_id(file: Path) -> str:
    """Read in pieces: a Hub may hold weights as any other file."""
    digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
