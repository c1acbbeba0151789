"""A real PostgreSQL for the tests: a cluster of its own in a temporary directory, reached by a
Unix socket. It does without fsync, which no test of ours is about. As root it runs as the user
postgres, because initdb refuses root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from llmops.store.database import REVISIONS

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))


def binaries() -> Path | None:
    """Where the server's programs lie; None when there are none."""
    if BINARIES:
        return BINARIES[-1]
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def why_not() -> str:
    """Why there can be no server here; empty when there can."""
    if binaries() is None:
        return "no PostgreSQL server is installed"
    try:
        if os.geteuid() == 0:
            pwd.getpwnam("postgres")
    except KeyError:
        return "initdb refuses root, and there is no user postgres"
    return ""


class Postgres:
    """A running server; `stop` ends it and removes its files."""

    def __init__(self) -> None:
        found = binaries()
        assert found is not None
        self.folder = Path(tempfile.mkdtemp(prefix="llmops-pg-", dir="/tmp"))
        self._number = 0
        who: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            who |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data = self.folder / "data"
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([found / "initdb", "-D", data, *options], check=True, **who, **quiet)
        self._who, self._quiet, self._binaries = who, quiet, found
        self.start()

    def start(self) -> None:
        """Also again, after `end`."""
        settings = ["fsync=off", "listen_addresses=", f"unix_socket_directories={self.folder}"]
        argv = [str(self._binaries / "postgres"), "-D", str(self.folder / "data")]
        for setting in settings:
            argv += ["-c", setting]
        self._process = subprocess.Popen(argv, **self._who, **self._quiet)
        ready = [self._binaries / "pg_isready", "-q", "-h", self.folder]
        while subprocess.run(ready, check=False).returncode:
            assert self._process.poll() is None, "postgres did not start"

    def end(self) -> None:
        """At once, as a crash of its machine; its files stay."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)

    def new_database(self, options: str = "") -> str:
        """The URL of a new, empty database."""
        self._number += 1
        name = f"test{self._number}"
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}".encode())
        return self.url(name)

    def new_schema(self, like: str | None = None) -> str:
        """The URL of a new schema of the server's own database, which is cheaper than a database.

        like: the URL of another one, whose tables it gets, without their rows but for the version.
        """
        self._number += 1
        name = f"test{self._number}"
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
            if like is not None:
                model = like.rpartition("%3D")[2]
                query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
                for (table,) in connection.execute(query, [model]).fetchall():
                    copy = f"CREATE TABLE {name}.{table} (LIKE {model}.{table} INCLUDING ALL)"
                    connection.execute(copy.encode())
                version = f"INSERT INTO {name}.{REVISIONS} SELECT * FROM {model}.{REVISIONS}"
                connection.execute(version.encode())
        return f"{self.admin}&options=-csearch_path%3D{name}"

    @property
    def admin(self) -> str:
        return self.url("postgres")

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def stop(self) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)
