"""A disk that is full: a tmpfs of a few megabytes, which only root can mount."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops

pytestmark = pytest.mark.engine

# Its sizes have other names than most, so no estimate stops the run before the disk does.
LARGE = "architecture={model_type: gpt2, n_embd: 1024, n_layer: 2, n_head: 8, n_positions: 128}"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A project on a disk of 9 MB."""
    project = tmp_path / "small"
    project.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=9m", "none", str(project)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this system does not let us mount a small disk")
    try:
        assert run_llmops("init", project, cwd=tmp_path).returncode == 0
        yield project
    finally:
        subprocess.run(["umount", str(project)], check=True)


def test_a_stage_that_cannot_fit_is_not_started(small: Path, llamafactory: Environment) -> None:
    done = run_llmops("run", "recipes/base.yaml", cwd=small)
    assert done.returncode == 1
    assert "stage base needs about 9.7 MB of disk" in done.stderr
    assert "free some space" in done.stderr


def test_a_disk_that_fills_up_leaves_no_version(small: Path, llamafactory: Environment) -> None:
    done = run_llmops("run", "recipes/base.yaml", LARGE, cwd=small)
    assert done.returncode == 1
    assert "error: stage base failed" in done.stderr
    assert "No space left on device" in done.stderr
    assert Registry(ProjectPaths(small)).names() == []
