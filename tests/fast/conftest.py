"""Databases for the tests (SQLite, and a real PostgreSQL that is started once), and a gateway
in front of a backend that answers as a test says."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from llmops.spec.settings import Settings
from llmops.store.database import open_database
from llmops.store.paths import ProjectPaths
from tests.fast.backend_server import BackendServer
from tests.fast.gateway_process import GatewayProcess, gateway, routes
from tests.fast.job_queue import Queue
from tests.fast.models_command import Models, call
from tests.fast.scheduled import Scheduled
from tests.hub.server import Hub, hub_running
from tests.postgres import Postgres, why_not


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server, for all the tests of a session."""
    if why_not():
        pytest.skip(why_not())
    server = Postgres()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("migrated")
    open_database(Settings(root=root, cache=root)).dispose()
    return ProjectPaths(root).database


@pytest.fixture(scope="session")
def migrated_url(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    root, url = tmp_path_factory.mktemp("migrated"), postgres.new_schema()
    open_database(Settings(root=root, cache=root, database=url)).dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty project whose database has its tables, once for each kind."""
    url = None
    if request.param == "postgresql":
        model = request.getfixturevalue("migrated_url")
        url = request.getfixturevalue("postgres").new_schema(like=model)
    else:
        file = ProjectPaths(tmp_path).database
        file.parent.mkdir()
        shutil.copyfile(request.getfixturevalue("migrated_file"), file)
    return Settings(root=tmp_path, cache=tmp_path / "cache", database=url)


@pytest.fixture
def database(settings: Settings) -> Iterator[sa.Engine]:
    """That database, open."""
    engine = open_database(settings)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def backend() -> Iterator[BackendServer]:
    with BackendServer().running() as server:
        yield server


@pytest.fixture(scope="module")
def running(
    backend: BackendServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    with gateway(tmp_path_factory.mktemp("project"), routes(backend.url)) as process:
        yield process


@pytest.fixture
def queue(project: Path) -> Iterator[Queue]:
    """A project whose runs are processes, started when the test turns its queue."""
    found = Queue(project)
    yield found
    found.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def scheduled(settings: Settings, database: sa.Engine) -> Iterator[Scheduled]:
    """A project whose pipeline has triggers, and a clock that the test moves."""
    found = Scheduled(settings, database)
    yield found
    found.close()


@pytest.fixture
def timetable(tmp_path: Path, migrated_file: Path) -> Iterator[Scheduled]:
    """The same on SQLite alone, for what no SQL is about."""
    settings = Settings(root=tmp_path, cache=tmp_path / "cache")
    file = ProjectPaths(tmp_path).database
    file.parent.mkdir()
    shutil.copyfile(migrated_file, file)
    database = open_database(settings)
    found = Scheduled(settings, database)
    yield found
    found.close()
    database.dispose()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The tests' own Hub on loopback, which this process' user knows, and an empty cache."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with hub_running() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server
        from huggingface_hub import close_session

        close_session()


@pytest.fixture
def models(project: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """`llmops models ...` in an empty project, without an engine."""
    monkeypatch.setenv("LLMOPS_CACHE", str(project.parent / "cache"))
    return call
