"""One tiny model for all the engine tests, made once by the product itself on the real engines.

`starter` is a project as `llmops init` makes it; `tiny_base` has its base model; `town_project`
has turned the loop once (about four minutes on two cores); `loop_project` is a copy of it as that
left it; `town_server` serves `town_project`.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.environments.environment import find
from llmops.registry.store import Registry
from llmops.serving.supervisor import Supervisor
from llmops.spec.load import load_deployment
from llmops.spec.settings import load_settings
from llmops.store.atomic import create_text
from llmops.store.cache_paths import CachePaths
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops
from tests.supervised import serving

SECRET = "03" * 32


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def engine(name: str) -> Environment:
    settings = load_settings()
    return find(name, settings, CachePaths(settings.cache))


@pytest.fixture(scope="session")
def llamafactory() -> Environment:
    return engine("llamafactory")


@pytest.fixture(scope="session")
def vllm() -> Environment:
    return engine("vllm")


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `llmops init` makes it, served at any free port. Nothing is trained.

    Its secret decides which variant each simulated user meets. One in hundreds shares them out so
    unevenly that an experiment on them rightly says so, and waits for ever.
    """
    folder = tmp_path_factory.mktemp("town")
    done = run_llmops("init", folder, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    create_text(ProjectPaths(folder).secret, SECRET)
    with (folder / "serving" / "town.yaml").open("a") as file:
        file.write("listen: {port: 0}\n")
    return folder


@pytest.fixture(scope="session")
def tiny_base(starter: Path, llamafactory: Environment) -> Path:
    """The directory of town-base:v1, a Qwen2 model with random weights."""
    done = run_llmops("run", "recipes/base.yaml", cwd=starter)
    assert done.returncode == 0, done.stderr
    registry = Registry(ProjectPaths(starter))
    return registry.directory(registry.versions("town-base")[0])


@pytest.fixture(scope="session")
def base_project(starter: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that has nothing but its base model."""
    return Path(shutil.copytree(starter, tmp_path_factory.mktemp("base") / "town"))


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
