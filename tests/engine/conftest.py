"""One tiny model for all the engine tests, made once by the product itself on the real engines.

`starter` is a project as `llmops init` makes it; `tiny_base` has its base model. The tests in town/
run beside the others here, on a base of their own.
"""

import shutil
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.environments.environment import find
from llmops.registry.store import Registry
from llmops.spec.settings import load_settings
from llmops.store.atomic import create_text
from llmops.store.cache_paths import CachePaths
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops

SECRET = "03" * 32


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
