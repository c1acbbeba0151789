"""The index of versions: quick, and never believed where the files say otherwise."""

import os
import shutil
from pathlib import Path

import pytest

from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.store.memory import Memory
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_full

MANY = 40
PAST, FUTURE = 10**9, 4 * 10**18


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    """Of a project whose model `town` has MANY versions."""
    registry = Registry(ProjectPaths(tmp_path))
    registry.add(Draft(name="town", kind="full", stage="sft"), write_full(tmp_path / "full"))
    text = (registry.paths.version("town", 1) / "manifest.json").read_text()
    for number in range(2, MANY + 1):
        write_version(registry.paths, number, text)
    return registry.paths


def write_version(paths: ProjectPaths, number: int, text: str) -> None:
    folder = paths.version("town", number)
    folder.mkdir()
    (folder / "manifest.json").write_text(text.replace('"number": 1', f'"number": {number}'))


def spoil(paths: ProjectPaths) -> None:
    for file in paths.model("town").glob("v*/manifest.json"):
        file.unlink()
        file.write_text("{}")


def dated(paths: ProjectPaths, time: int) -> None:
    os.utime(paths.model("town"), ns=(time, time))


def listed(paths: ProjectPaths) -> list[int]:
    return [row.number for row in Registry(paths).rows("town")]


def test_a_row_says_what_the_manifest_says(paths: ProjectPaths) -> None:
    registry = Registry(paths)
    one = registry.resolve("town:v1")
    size = sum((registry.directory(one) / name).stat().st_size for name in one.files)
    for again in (registry, Registry(paths)):
        row = again.rows("town")[0]
        assert row.id == one.id
        assert (row.digest, row.stage, row.created) == (one.digest, one.stage, one.created)
        assert row.size == size


def test_what_was_listed_once_is_not_read_again(paths: ProjectPaths) -> None:
    assert listed(paths) == [*range(1, MANY + 1)]
    spoil(paths)
    assert listed(paths) == [*range(1, MANY + 1)]


def test_versions_that_came_and_went_are_seen(paths: ProjectPaths) -> None:
    listed(paths)
    shutil.rmtree(paths.version("town", 7))
    text = (paths.version("town", 1) / "manifest.json").read_text()
    write_version(paths, MANY + 1, text)
    assert listed(paths) == [n for n in range(1, MANY + 2) if n != 7]


def test_an_index_that_is_damaged_or_of_other_columns_is_made_anew(paths: ProjectPaths) -> None:
    dated(paths, PAST)
    listed(paths)
    file = paths.index("town")
    good = file.read_bytes()
    file.write_bytes(good[:-9] + b"damaged!!")
    assert len(listed(paths)) == MANY
    memory = Memory(file)
    memory.put("columns", ["another"])
    memory.save()
    assert len(listed(paths)) == MANY
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(paths: ProjectPaths) -> None:
    paths.cache.touch()
    assert len(listed(paths)) == MANY


@pytest.mark.parametrize(("time", "seen"), [(PAST, False), (FUTURE, True)])
def test_two_changes_in_one_tick_of_the_clock_are_both_seen(
    paths: ProjectPaths, time: int, seen: bool
) -> None:
    dated(paths, time)
    listed(paths)
    last = paths.version("town", MANY)
    last.rename(last.with_name("x" * len(last.name)))  # some file systems give a directory a size
    dated(paths, time)
    assert (len(listed(paths)) == MANY - 1) is seen


def test_a_directory_without_a_manifest_is_no_version(paths: ProjectPaths) -> None:
    (paths.version("town", 3) / "manifest.json").unlink()
    for _ in range(2):
        assert len(listed(paths)) == MANY - 1
