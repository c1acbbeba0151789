"""A registration that is ended between any two changes of a file, by kill -9 or by a full disk: the
version is whole or absent, and the next registration works and leaves nothing behind. So of a
deletion, which the same command finishes.

Each is tried in a process of its own, which hears of its changes from Python's audit events. Data
that a full disk refuses: test_registry_store.py, on a disk that is small.
"""

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from llmops.errors import Failed, NotFound
from llmops.registry.aliases import Aliases
from llmops.registry.evidence import EvidenceLog
from llmops.registry.manifest import Draft
from llmops.registry.promotion import promote
from llmops.registry.store import Registry
from llmops.spec.settings import Settings
from llmops.storage.deletion import delete
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_full

FILLS = {"open", "os.rename", "os.mkdir"}
CHANGES = FILLS | {"os.chmod", "os.remove", "os.rmdir", "fcntl.flock"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
DONE, REFUSED, WENT_ON = 0, 3, 4


def add(project: Path) -> None:
    draft = Draft(name="town", kind="full", stage="sft")
    Registry(ProjectPaths(project)).add(draft, project.parent / "full", lambda *_: None)


def ended_at(
    place: int,
    project: Path,
    events: set[str],
    end: Callable[[], None],
    act: Callable[[Path], None] = add,
) -> int:
    """The exit status of a process that calls `end` before its so-manieth change: DONE when it has
    not as many."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0

    def hear(event: str, args: tuple[object, ...]) -> None:
        nonlocal seen
        if event in events and (event != "open" or int(str(args[2])) & WRITES):
            seen += 1
            if seen == place:
                end()

    sys.addaudithook(hear)
    try:
        act(project)
    except (Failed, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        os._exit(REFUSED if isinstance(cause, OSError) and cause.errno == errno.ENOSPC else 1)
    except BaseException:
        os._exit(1)
    os._exit(WENT_ON if seen >= place else DONE)


def sweep(
    tmp_path: Path,
    events: set[str],
    end: Callable[[], None],
    act: Callable[[Path], None] = add,
) -> Iterator[tuple[Path, int]]:
    """A project after each end, with the status of who came to it; at last one that came to none.
    It has one version already, and leftovers of another that was killed."""
    write_full(tmp_path / "full")
    add(tmp_path / "first")
    (tmp_path / "first/.llmops/models/town/.v2.left").mkdir()
    (tmp_path / "first/.llmops/models/town/.v2.manifest").touch()
    for place in range(1, 200):
        project = tmp_path / f"at{place}"
        shutil.copytree(tmp_path / "first", project)
        status = ended_at(place, project, events, end, act)
        yield project, status
        if status == DONE:
            assert place > 8  # else these were not all changes
            return


def check(project: Path) -> list[int]:
    """What is listed is whole; the numbers."""
    registry = Registry(ProjectPaths(project))
    for manifest in registry.versions("town"):
        registry.verify(manifest)
    return [row.number for row in registry.rows("town")]


def goes_on(project: Path, before: list[int]) -> None:
    add(project)
    assert check(project) == [*before, before[-1] + 1]
    folder = ProjectPaths(project).model("town")
    assert sorted(path.name for path in folder.iterdir()) == [f"v{n}" for n in check(project)]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_kill_at_any_change_leaves_the_version_whole_or_absent(tmp_path: Path) -> None:
    seen = set()
    for project, status in sweep(tmp_path, CHANGES, kill):
        assert status in (-signal.SIGKILL, DONE)
        seen.add(len(check(project)))
        goes_on(project, check(project))
    assert seen == {1, 2}


def test_a_disk_that_is_full_at_any_change_leaves_the_version_absent(tmp_path: Path) -> None:
    for project, status in sweep(tmp_path, FILLS, fill):
        assert status in (REFUSED, WENT_ON, DONE)
        assert check(project) == ([1] if status == REFUSED else [1, 2])
        goes_on(project, check(project))


def forget(project: Path) -> None:
    settings = Settings(root=project, cache=project / "cache")
    delete("town:v1", Registry(ProjectPaths(project)), settings, why="", by="")


def test_a_kill_at_any_change_of_a_deletion_leaves_the_version_whole_or_gone(
    tmp_path: Path,
) -> None:
    seen = set()
    for project, status in sweep(tmp_path, CHANGES, kill, forget):
        assert status in (-signal.SIGKILL, DONE)
        seen.add(len(check(project)))
        with suppress(NotFound):  # it is gone already
            forget(project)
        folder = ProjectPaths(project).version("town", 1)
        assert [path.name for path in folder.iterdir()] == ["deleted.json"]
    assert seen == {0, 1}


def promote_all_the_same(project: Path) -> None:
    promote("town:v1", "candidate", Registry(ProjectPaths(project)), override="hurry", by="ann")


def test_a_kill_at_any_change_of_an_override_leaves_no_move_without_its_reason(
    tmp_path: Path,
) -> None:
    moved = set()
    for project, status in sweep(tmp_path, CHANGES, kill, promote_all_the_same):
        assert status in (-signal.SIGKILL, DONE)
        paths = ProjectPaths(project)
        moved.add(len(Aliases(paths).history("town")))
        promote_all_the_same(project)
        (move,) = Aliases(paths).history("town")
        assert {*move.evidence} <= {piece.id for piece in EvidenceLog(paths).of("town")}
    assert moved == {0, 1}


def test_a_number_that_was_deleted_is_not_given_again(tmp_path: Path) -> None:
    write_full(tmp_path / "full")
    for _ in range(2):
        add(tmp_path / "project")
    (ProjectPaths(tmp_path / "project").version("town", 2) / "manifest.json").unlink()
    add(tmp_path / "project")
    assert check(tmp_path / "project") == [1, 3]
