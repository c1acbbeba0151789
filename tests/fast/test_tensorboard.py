"""`llmops tensorboard`: which runs it shows, and where."""

from pathlib import Path

import pytest

from llmops.errors import NotFound
from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.store.paths import ProjectPaths
from llmops.up.parts import tensorboard_argv
from tests.conftest import run_llmops


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    found = ProjectPaths(tmp_path)
    RunLog.begin(found, "sft", "sft.yaml", [], [StageRecord(name="sft", kind="train")])
    return found


def where(paths: ProjectPaths, *runs: str) -> tuple[str, str]:
    argv = tensorboard_argv(paths, 6006, runs)
    return argv[4], argv[5]


def test_all_runs_are_one_tree_and_one_run_is_its_own(paths: ProjectPaths) -> None:
    assert where(paths) == ("--logdir", str(paths.runs))
    assert where(paths, "a") == ("--logdir", str(paths.runs / "a"))


def test_several_runs_keep_their_names(paths: ProjectPaths) -> None:
    told = ("--logdir_spec", f"a:{paths.runs / 'a'},b:{paths.runs / 'b'}")
    assert where(paths, "a", "b") == told


def test_an_unknown_run_is_refused(paths: ProjectPaths, tmp_path: Path) -> None:
    done = run_llmops("tensorboard", "last", "nobody", cwd=tmp_path)
    assert done.returncode == NotFound.exit_code
    assert "no run `nobody`" in done.stderr
