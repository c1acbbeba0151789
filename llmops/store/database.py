"""The database: an index of the journal in SQLite, or in PostgreSQL by URL.

`open_database` gives an engine whose tables are those of tables.py; it migrates what is older,
inside one transaction and under a lock, so that several processes may open it at once. The
journal's segments are deleted once their rows are committed, so a commit must survive a power
failure: SQLite runs with synchronous=FULL, also in WAL mode. Erased text is overwritten
(secure_delete). Nothing that only plans or serves imports this module.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llmops.errors import BadInput, Failed
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths
from llmops.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry

REVISIONS = "llmops_schema"
"""The table with the number of the last migration; not Alembic's usual name, so that a database
may be shared with an application that uses Alembic too."""
BUSY_SECONDS = 60.0
LOCK = 5_137_201_894
"""Of PostgreSQL's advisory locks, the one that writers of this index hold."""
_MIGRATIONS = Path(__file__).parent / "migrations"
_SECRETS = {"password", "sslpassword", "passfile"}


def open_database(settings: Settings) -> sa.Engine:
    """The project's database, made or migrated where needed.

    Raises BadInput when the URL names no usable database (wrong kind, not a database, tables of
    somebody else's, newer than this llmops), Failed when it cannot be reached or written.
    """
    url = database_url(settings)
    engine = _sqlite(url) if is_sqlite(url) else _postgresql(url)
    try:
        with told(engine):
            _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def database_url(settings: Settings) -> sa.URL:
    """Which database, by settings. Relative SQLite files are relative to the project."""
    if not settings.database:
        return sa.URL.create("sqlite", database=str(ProjectPaths(settings.root).database))
    where = "database (llmops.toml, LLMOPS_DATABASE)"
    fix = "write sqlite:///FILE or postgresql://USER@HOST/NAME"
    try:
        url = sa.make_url(settings.database)
    except (sa.exc.ArgumentError, ValueError):
        raise BadInput("not a database URL", where=where, fix=fix) from None
    kind = url.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise BadInput(f"`{kind}` is not supported", where=where, fix=fix)
    if not url.database or url.database == ":memory:" or url.query:
        raise BadInput("the SQLite database must be a file", where=where, fix=fix)
    return sa.URL.create("sqlite", database=str(settings.root / Path(url.database).expanduser()))


def is_sqlite(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def shown(url: sa.URL) -> str:
    """The URL without its secrets, for people."""
    if is_sqlite(url):
        return str(url.database)
    hidden = {key: "***" for key in url.query if key in _SECRETS}
    plain = url.set(drivername="postgresql").update_query_dict(hidden)
    return plain.render_as_string(hide_password=True)


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that writes; there is at most one at a time, on either database.

    So what it reads holds until it commits. Raises Failed when the database is held by another
    for longer than BUSY_SECONDS, or is full, or went away.
    """
    writer = engine.execution_options(llmops_write=True)
    with told(engine), writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that reads: one state of the database, whatever is written meanwhile."""
    with told(engine), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection


@contextmanager
def told(engine: sa.Engine) -> Iterator[None]:
    """Say a database's errors as llmops does, without secrets and without rows.

    Also those of the driver, which bulk work uses past SQLAlchemy.
    """
    driver: Any = engine.dialect.dbapi
    try:
        yield
    except (sa.exc.DBAPIError, driver.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        # PostgreSQL's further lines (DETAIL, CONTEXT) quote rows.
        first = getattr(getattr(cause, "diag", None), "message_primary", None)
        text = " ".join(str(first or cause).split())
        if engine.url.password:
            text = text.replace(str(engine.url.password), "***")
        where = shown(engine.url)
        if "file is not a database" in text:
            raise BadInput(
                "this file is no SQLite database", where=where, fix="name another in `database`"
            ) from None
        if isinstance(error, sa.exc.ProgrammingError | sa.exc.IntegrityError):
            raise
        raise Failed(f"the database: {text}", where=where, fix=_advice(text)) from None


def _advice(text: str) -> str:
    if "locked" in text:
        return "another process holds it; end that one, or run this again"
    if "full" in text:
        return "free some space and run it again; nothing is lost"
    if "malformed" in text:
        return "restore it from a backup, or export what can be read with sqlite3's .recover"
    return "check `database` in llmops.toml or LLMOPS_DATABASE, and that the server runs"


_ELSEWHERE = "look at what lies there, or name another file in `database`"


def _sqlite(url: sa.URL) -> sa.Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds what users said: as the journal, for its owner only. A file that is there already
        # is not opened: closing it would drop the locks that this process's other connections hold
        # on it (POSIX), and whoever closed it last would then delete the log under them.
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        if not path.is_file():
            place = path if path.exists() else path.parent
            raise Failed(
                "cannot be made: there is something else", where=str(place), fix=_ELSEWHERE
            ) from error
    except OSError as error:
        raise Failed(
            f"cannot be made: {error.strerror}", where=str(path), fix=_ELSEWHERE
        ) from error
    engine = sa.create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS, "uri": False}
    )

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: "ConnectionPoolEntry") -> None:
        connection.isolation_level = None  # transactions are begun below, never by the driver
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("llmops_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    return sa.create_engine(
        url, hide_parameters=True, pool_pre_ping=True, connect_args={"connect_timeout": 10}
    )


def head() -> str:
    """The number of the newest migration."""
    return max(file.name[:4] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _migrate(engine: sa.Engine) -> None:
    """Bring the tables to what this llmops knows; at most one process does, others wait."""
    with engine.begin() as connection:
        if _revision(connection) == head():
            return
    with writing(engine) as connection:
        found = _revision(connection)
        if found == head():
            return
        where = shown(engine.url)
        if found is None:
            _check_empty(connection, where)
        elif found > head():
            raise BadInput(
                f"a newer llmops wrote this database (revision {found}, known: {head()})",
                where=where,
                fix="upgrade llmops, or name another database",
            )
        _upgrade(connection)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(REVISIONS):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {REVISIONS}")).scalar()
    return None if found is None else str(found)


def _check_empty(connection: sa.Connection, where: str) -> None:
    """Raises BadInput when the tables that are to be made exist: they are somebody else's."""
    present = set(sa.inspect(connection).get_table_names())
    taken = sorted(present & set(metadata.tables))
    if taken:
        raise BadInput(
            f"holds a table `{taken[0]}` that llmops did not make",
            where=where,
            fix="name a database (or a schema, by search_path) of its own in `database`",
        )
    if connection.dialect.name == "postgresql":
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise BadInput(
                f"its encoding is {encoding}", where=where, fix="create it with ENCODING 'UTF8'"
            )


def _upgrade(connection: sa.Connection, revision: str = "head") -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, version_table=REVISIONS)
    command.upgrade(config, revision)
