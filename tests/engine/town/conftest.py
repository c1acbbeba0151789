"""The town after the loop has turned once, on the real engines, and what serves it.

`town_project` takes about four minutes on two cores, so all that stands on it is in this folder,
which one worker runs; `loop_project` and `up_project` are copies of it as that left it;
`town_server` serves `town_project`.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.serving.supervisor import Supervisor
from llmops.spec.load import load_deployment
from llmops.spec.settings import load_settings
from tests.conftest import run_llmops
from tests.supervised import serving


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def first_round(starter: Path, base_project: Path) -> Path:
    """The project after `llmops run pipelines/town.yaml`: town:v1 (SFT), town:v2 (DPO on what
    simulated users said), which is in production."""
    done = run_llmops("run", "pipelines/town.yaml", cwd=starter, timeout=1500)
    assert done.returncode == 0, done.stderr
    return starter


@pytest.fixture(scope="session")
def loop_project(first_round: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which the loop can turn on, while others use the first one."""
    return Path(shutil.copytree(first_round, tmp_path_factory.mktemp("loop") / "town"))


@pytest.fixture(scope="session")
def up_project(first_round: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that `llmops up` keeps running, nobody touching it."""
    return Path(shutil.copytree(first_round, tmp_path_factory.mktemp("up") / "town"))


@pytest.fixture(scope="session")
def town_project(first_round: Path, loop_project: Path, up_project: Path) -> Path:
    """The project after its first turn, with town:v1 in production and town:v2 its candidate."""
    done = run_llmops("models", "rollback", "town", cwd=first_round)
    assert done.returncode == 0, done.stderr
    return first_round


@pytest.fixture(scope="session")
def town_server(town_project: Path, vllm: Environment) -> Iterator[Supervisor]:
    """The town's deployment, served by the real vLLM on a free port."""
    with working_in(town_project):
        loaded = load_deployment(Path("serving/town.yaml"), ["listen.port=0"])
        with serving(loaded, load_settings(town_project)) as server:
            yield server
