"""Databases for the tests: a SQLite file, and a real PostgreSQL that is started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from llmops.spec.settings import Settings
from llmops.store.database import open_database
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


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty project with an empty database, once for each kind."""
    url = None
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.new_database()
    return Settings(root=tmp_path, cache=tmp_path / "cache", database=url)


@pytest.fixture
def database(settings: Settings) -> Iterator[sa.Engine]:
    """That database, open."""
    engine = open_database(settings)
    yield engine
    engine.dispose()
