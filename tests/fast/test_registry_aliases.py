import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.registry.aliases import Aliases
from llmops.registry.manifest import VersionId
from llmops.store.paths import ProjectPaths

V1, V2 = VersionId("town", 1), VersionId("town", 2)


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    paths = ProjectPaths(tmp_path)
    for number in (1, 2):
        paths.version("town", number).mkdir(parents=True)
        (paths.version("town", number) / "manifest.json").write_text("{}")
    return paths


def test_a_move_records_what_was_before_and_why(paths: ProjectPaths) -> None:
    aliases = Aliases(paths)
    aliases.move("production", V1, why="first", by="ann")
    aliases.move("production", V2, why="better", by="run 7")
    first, second = aliases.history("town")
    assert (first.before, first.version, first.why) == (None, "town:v1", "first")
    assert (second.before, second.version, second.by) == ("town:v1", "town:v2", "run 7")


def test_the_last_move_of_each_alias_counts(paths: ProjectPaths) -> None:
    aliases = Aliases(paths)
    for alias, version in (("production", V1), ("candidate", V2), ("production", V2)):
        aliases.move(alias, version, why="", by="")
    assert aliases.current("town") == {"production": V2, "candidate": V2}


def test_a_move_to_where_it_stands_is_not_recorded(paths: ProjectPaths) -> None:
    aliases = Aliases(paths)
    aliases.move("production", V1, why="", by="")
    assert aliases.move("production", V1, why="again", by="") is None
    assert len(aliases.history("town")) == 1


def test_a_move_says_when_it_was(paths: ProjectPaths) -> None:
    start = datetime.now(UTC)
    first = Aliases(paths).move("production", V1, why="", by="")
    assert first is not None
    assert datetime.fromisoformat(first.time).timestamp() >= start.timestamp() - 0.001


def test_a_torn_last_line_is_ignored_and_does_not_spoil_the_next(paths: ProjectPaths) -> None:
    aliases = Aliases(paths)
    aliases.move("production", V1, why="", by="")
    with paths.aliases("town").open("a") as file:
        file.write('{"time": "2026-01-01T00:00')
    assert aliases.current("town") == {"production": V1}
    aliases.move("production", V2, why="", by="")
    assert [move.version for move in aliases.history("town")] == ["town:v1", "town:v2"]


def test_damage_elsewhere_is_an_error_with_its_line(paths: ProjectPaths) -> None:
    aliases = Aliases(paths)
    aliases.move("production", V1, why="", by="")
    text = paths.aliases("town").read_text()
    paths.aliases("town").write_text(f"garbage\n{text}")
    with pytest.raises(Failed, match="damaged") as caught:
        aliases.current("town")
    assert caught.value.where.endswith("aliases.jsonl:1")


def test_where_an_alias_stands_is_read_from_the_end(paths: ProjectPaths) -> None:
    aliases = Aliases(paths)
    for alias, version in (("production", V1), ("candidate", V2)):
        aliases.move(alias, version, why="", by="")
    assert [aliases.names("town", one) for one in ("production", "candidate", "x")] == [
        V1,
        V2,
        None,
    ]
    with paths.aliases("town").open("a") as file:
        file.write("a move that cannot be read\n")
    with pytest.raises(Failed, match="damaged"):
        aliases.names("town", "production")


@pytest.mark.parametrize(
    ("old", "new"), [("town:v1", "x"), ("T", " at "), ("+00:00", ""), ('"alias"', '"alais"')]
)
def test_a_move_that_says_nothing_is_damage(paths: ProjectPaths, old: str, new: str) -> None:
    aliases, log = Aliases(paths), paths.aliases("town")
    aliases.move("production", V1, why="", by="")
    log.write_text(log.read_text().replace(old, new))
    with pytest.raises(Failed, match="damaged"):
        aliases.current("town")


@pytest.mark.parametrize("alias", ["v3", "V3", "a b", "", "a:b"])
def test_names_that_no_alias_can_have(paths: ProjectPaths, alias: str) -> None:
    with pytest.raises(BadInput, match="cannot be an alias"):
        Aliases(paths).move(alias, V1, why="", by="")


def test_an_alias_of_an_absent_version_is_refused(paths: ProjectPaths) -> None:
    with pytest.raises(BadInput, match="no version town:v9"):
        Aliases(paths).move("production", VersionId("town", 9), why="", by="")
    assert not paths.aliases("town").exists()


MOVE = """
import sys
from pathlib import Path
from llmops.registry.aliases import Aliases
from llmops.registry.manifest import VersionId
from llmops.store.paths import ProjectPaths
aliases = Aliases(ProjectPaths(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
for i in range(40):
    aliases.move("production", VersionId("town", i % 2 + 1), why="", by="")
"""


def test_moves_at_the_same_time_form_one_chain(paths: ProjectPaths) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MOVE, str(paths.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
        assert process.returncode == 0
    history = Aliases(paths).history("town")
    assert all(b.before == a.version for a, b in pairwise(history))
