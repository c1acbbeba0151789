"""`llmops init` from a real wheel. No engine is started; building the wheel takes seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmops.starter import FOLDERS, find_starter, starter_files
from tests.conftest import ROOT

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel installs it, in a directory of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", ROOT, "-w", folder], check=True)
    [wheel] = folder.glob("*.whl")
    site = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    return site


def llmops(site: Path, *args: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The command of that installation, not of this working tree."""
    argv = [sys.executable, "-P", "-m", "llmops", *map(str, args)]
    env = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_init_from_a_wheel_gives_the_repositorys_own_files(installed: Path, tmp_path: Path) -> None:
    done = llmops(installed, "init", "new", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for file in starter_files(find_starter()):
        assert (tmp_path / "new" / file).read_bytes() == (ROOT / file).read_bytes()


def test_the_starter_of_a_wheel_lies_in_the_package(installed: Path, tmp_path: Path) -> None:
    code = "from llmops.starter import find_starter; print(find_starter())"
    env = {**os.environ, "PYTHONPATH": str(installed)}
    argv = [sys.executable, "-P", "-c", code]
    found = subprocess.run(argv, env=env, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert Path(found.stdout.strip()) == installed / "llmops" / "starter"
    assert all((installed / "llmops" / "starter" / folder).is_dir() for folder in FOLDERS)
