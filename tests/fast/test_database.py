"""The database: made, migrated, refused with reasons; on SQLite and on a real PostgreSQL."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from llmops.errors import BadInput, Failed
from llmops.runner.scope import Scope
from llmops.scheduling import jobs
from llmops.spec.settings import Settings, load_settings
from llmops.store import database as module
from llmops.store.database import REVISIONS, head, open_database, reading, shown, writing
from llmops.store.tables import metadata
from tests.postgres import Postgres

if TYPE_CHECKING:
    import psycopg

OLD_JOB = {
    "id": "old",
    "created": 1,
    "state": "queued",
    "target": "p.yaml",
    "overrides": "[]",
    "force": True,
    "resume": False,
    "by": "cli:me",
    "correlation": "old",
    "devices": 1,
    "device_seconds": 0.0,
    "tries": 0,
}
"""As the second migration knew it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty project and an empty database, once for each kind."""
    if request.param == "sqlite":
        return at(tmp_path, None)
    return at(tmp_path, request.getfixturevalue("postgres").new_schema())


@pytest.fixture
def raw(settings: Settings) -> Iterator[sa.Engine]:
    """The same database before llmops has seen it."""
    url = module.database_url(settings)
    if url.database and url.get_backend_name() == "sqlite":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def at(root: Path, url: str | None) -> Settings:
    return Settings(root=root, cache=root, database=url)


def test_the_migrations_make_what_the_tables_say(database: sa.Engine) -> None:
    with reading(database) as connection:
        options = {"version_table": REVISIONS, "compare_type": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    assert found == []


def test_opening_again_keeps_the_locks_that_this_process_holds(tmp_path: Path) -> None:
    """Else another process that closes the database deletes the log that is still in use."""
    settings = at(tmp_path, None)
    first = open_database(settings)
    file = str(module.database_url(settings).database)
    with first.connect() as held:
        with writing(first) as connection:
            connection.exec_driver_sql("CREATE TABLE more (a INTEGER)")
        open_database(settings).dispose()
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM more')"
        subprocess.run([sys.executable, "-c", code, file], check=True)
        assert Path(f"{file}-wal").exists()
        assert not held.closed
    first.dispose()


def test_opening_again_changes_nothing(database: sa.Engine, settings: Settings) -> None:
    again = open_database(settings)
    with reading(again) as connection:
        assert module._revision(connection) == head()
    again.dispose()


def test_every_old_state_is_migrated_with_its_rows(settings: Settings, raw: sa.Engine) -> None:
    with raw.begin() as connection:
        module._upgrade(connection, "0001")
        row = "('w', '1.jsonl', 5)"
        connection.exec_driver_sql(f"INSERT INTO journal_positions VALUES {row}")
    engine = open_database(settings)
    with reading(engine) as connection:
        assert module._revision(connection) == head()
        assert connection.exec_driver_sql("SELECT * FROM journal_positions").all() == [
            ("w", "1.jsonl", 5)
        ]
    engine.dispose()


def test_a_job_of_an_old_database_is_about_all_its_stages(
    settings: Settings, raw: sa.Engine
) -> None:
    with raw.begin() as connection:
        module._upgrade(connection, "0002")
        old = sa.table("jobs", *map(sa.column, OLD_JOB))
        connection.execute(sa.insert(old).values(OLD_JOB))
    engine = open_database(settings)
    with reading(engine) as connection:
        (job,) = jobs.in_order(connection)
    engine.dispose()
    assert (job.id, job.scope, job.gpus) == ("old", Scope(force=True), None)


def test_a_migration_that_fails_leaves_nothing(settings: Settings, raw: sa.Engine) -> None:
    engine = module._sqlite(raw.url) if module.is_sqlite(raw.url) else raw

    def cut_short() -> None:
        with writing(engine) as connection:
            module._upgrade(connection)
            raise RuntimeError("killed here")

    with pytest.raises(RuntimeError, match="killed here"):
        cut_short()
    assert sa.inspect(raw).get_table_names() == []
    engine.dispose()
    open_database(settings).dispose()


def test_a_version_table_without_a_version_is_an_empty_database(
    settings: Settings, raw: sa.Engine
) -> None:
    with raw.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {REVISIONS} (version_num VARCHAR(32) NOT NULL)")
    engine = open_database(settings)
    assert set(metadata.tables) < set(sa.inspect(engine).get_table_names())
    engine.dispose()


def test_many_at_once_migrate_once(settings: Settings) -> None:
    start, errors = threading.Barrier(6), []

    def run() -> None:
        start.wait()
        try:
            open_database(settings).dispose()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_newer_database_is_left_alone(database: sa.Engine, settings: Settings) -> None:
    with writing(database) as connection:
        connection.exec_driver_sql(f"UPDATE {REVISIONS} SET version_num = '9999'")
    with pytest.raises(BadInput, match="a newer llmops wrote this database"):
        open_database(settings)


def test_tables_of_somebody_elses_are_left_alone(settings: Settings, raw: sa.Engine) -> None:
    with raw.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE feedback (words TEXT)")
    with pytest.raises(BadInput, match="`feedback` that llmops did not make"):
        open_database(settings)
    assert sa.inspect(raw).get_table_names() == ["feedback"]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are notes\n" * 100, encoding="utf-8")
    with pytest.raises(BadInput, match="no SQLite database"):
        open_database(at(tmp_path, "sqlite:///notes.db"))


def test_a_path_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in ("file/below.db", "."):
        with pytest.raises(Failed, match="cannot be made"):
            open_database(at(tmp_path, f"sqlite:///{path}"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://me@host/db", "`mysql` is not supported"),
        ("llmops.db", "not a database URL"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
    ],
)
def test_a_url_that_names_nothing_usable(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(BadInput, match="LLMOPS_DATABASE") as caught:
        open_database(at(tmp_path, url))
    assert words in str(caught.value)


def test_an_unreachable_server_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="postgresql://me:") as caught:
        open_database(at(tmp_path, "postgres://me:s3cret@127.0.0.1:1/db?sslpassword=s3cret"))
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(at(tmp_path, "postgres://me:s3cret@127.0.0.1:1/db"))


def test_a_database_that_does_not_exist(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r'database "nothing" does not exist'):
        open_database(at(tmp_path, postgres.url("nothing")))


def test_errors_of_the_driver_itself_are_told_without_rows(
    postgres: Postgres, tmp_path: Path
) -> None:
    engine = open_database(at(tmp_path, postgres.new_schema()))

    def copy(text: str) -> None:
        with writing(engine) as connection:
            driver = cast("psycopg.Connection", connection.connection.driver_connection)
            driver.execute("CREATE TEMP TABLE t (words TEXT, n INT) ON COMMIT DROP")
            with driver.cursor().copy("COPY t FROM STDIN") as rows:
                rows.write(text)

    with pytest.raises(Failed, match="missing data for column") as caught:
        copy("what a user said\n")
    assert "a user" not in str(caught.value)
    engine.dispose()


def test_another_encoding_is_refused(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_database("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(BadInput, match="its encoding is LATIN1"):
        open_database(at(tmp_path, url))


def test_one_writer_at_a_time(database: sa.Engine) -> None:
    order: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def first() -> None:
        with writing(database):
            inside.set()
            go.wait()
            order.append("first")

    def second() -> None:
        with writing(database):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait()
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "second"]


def test_a_database_that_stays_locked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    engine = open_database(at(tmp_path, None))
    other = sqlite3.connect(str(engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Failed, match="locked"), writing(engine):
        pass
    other.close()
    engine.dispose()


def test_a_commit_outlives_a_power_failure_and_erased_text_is_overwritten(tmp_path: Path) -> None:
    engine = open_database(at(tmp_path, None))
    with reading(engine) as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        ]
    assert values == ["wal", 2, 1, 1]
    engine.dispose()


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    engine = open_database(at(tmp_path, None))
    with writing(engine):
        files = list((tmp_path / ".llmops").glob("llmops.db*"))
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    engine.dispose()


def test_the_database_is_named_by_file_and_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "llmops.toml").write_text('database = "sqlite:///data/a.db"\n', encoding="utf-8")
    assert shown(module.database_url(load_settings())) == str(project / "data" / "a.db")
    monkeypatch.setenv("LLMOPS_DATABASE", "sqlite:////b.db")
    assert shown(module.database_url(load_settings())) == "/b.db"
