"""File hashes and what is remembered of them."""

import hashlib
import os
from pathlib import Path

from llmops.store.digest import Digests, sha256_json, sha256_tree
from llmops.store.paths import ProjectPaths


def test_a_file_has_its_sha256(project: Path) -> None:
    file = project / "f"
    file.write_bytes(b"abc")
    assert Digests(ProjectPaths(project)).file(file) == hashlib.sha256(b"abc").hexdigest()


def test_a_hash_is_remembered_between_processes(project: Path) -> None:
    file = project / "f"
    file.write_bytes(b"abc")
    first = Digests(ProjectPaths(project))
    digest = first.file(file)
    first.save()
    stat = file.stat()
    with file.open("r+b") as handle:  # same inode, size and time: only the memory can answer
        handle.write(b"abd")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Digests(ProjectPaths(project)).file(file) == digest


def test_a_changed_file_is_hashed_again(project: Path) -> None:
    file = project / "f"
    file.write_bytes(b"abc")
    digests = Digests(ProjectPaths(project))
    before = digests.file(file)
    file.write_bytes(b"abcd")
    assert digests.file(file) != before


def test_planning_writes_nothing(project: Path) -> None:
    file = project / "f"
    file.write_bytes(b"abc")
    Digests(ProjectPaths(project)).file(file)
    assert not (project / ".llmops").exists()


def test_the_order_of_keys_does_not_matter() -> None:
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})
    assert sha256_tree({"a": "1", "b": "2"}) != sha256_tree({"a": "2", "b": "1"})
