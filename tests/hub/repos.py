"""What the tests' Hub holds: repositories of commits, branches, tags and files. The ids of files
are real (git's of the blob, sha256 of a large one); those of commits are made up."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

LARGE = (".safetensors", ".parquet", ".bin", ".gguf", "tokenizer.json")
"""What is stored as LFS, besides what is longer than LARGE_BYTES."""
LARGE_BYTES = 1_000_000


class Refused(Exception):
    """An answer that is an error. code: the Hub's own, which the client reads from a header."""

    def __init__(self, status: int, code: str = "", text: str = "") -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(frozen=True)
class File:
    content: bytes
    lfs: bool

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def oid(self) -> str:
        """Git's: of a large file that of its pointer, which is made up."""
        text = self.sha256.encode() if self.lfs else self.content
        head = b"blob %d\0" % len(text)
        return hashlib.sha1(head + text, usedforsecurity=False).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid


@dataclass
class Repo:
    """private: seen with a token only. gated: its files are refused. denied: who may not write."""

    id: str
    kind: str
    private: bool = False
    gated: bool = False
    commits: list[tuple[str, dict[str, File]]] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, File], branch: str = "main", message: str = "") -> str:
        """Let `branch` hold just `files`; the new commit's id."""
        seed = f"{self.kind}{self.id}{len(self.commits)}".encode()
        oid = hashlib.sha1(seed, usedforsecurity=False).hexdigest()
        self.commits.append((oid, files))
        self.messages.append(message)
        self.branches[branch] = oid
        return oid

    def add(self, files: dict[str, bytes], branch: str = "main") -> str:
        """As a push of somebody else does."""
        kept = dict(self.files(branch)) if branch in self.branches else {}
        made = {n: File(c, n.endswith(LARGE) or len(c) > LARGE_BYTES) for n, c in files.items()}
        return self.commit(kept | made, branch)

    def resolve(self, revision: str) -> str:
        """The commit that a branch, tag or commit id names."""
        known = {oid: oid for oid, _ in self.commits} | self.tags | self.branches
        if revision not in known:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return known[revision]

    def files(self, revision: str = "main") -> dict[str, File]:
        return dict(self.commits)[self.resolve(revision)]

    def file(self, revision: str, path: str) -> File:
        found = self.files(revision).get(path)
        if found is None:
            raise Refused(404, "EntryNotFound", f"{path} does not exist on {revision!r}")
        return found
