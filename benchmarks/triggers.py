"""The check of a feedback trigger over ten million events, beside asking the log itself.

    python benchmarks/run.py triggers

The check is what a scheduler does every few seconds (llmops/scheduling/looks.py): has feedback
come, is there a new snapshot. `tick` is a whole turn of the triggers with it. The peers ask the
table, as one would without that: its rows of the deployment, and those of the last day. The events
are made inside the database, which is in a temporary directory; PostgreSQL is measured where its
server is installed, without fsync.
"""

import contextlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EVENTS = 10_000_000
DAY = 86_400_000
BEGIN = 1_760_000_000_000
COLUMNS = 'id, time, received, deployment, inference, kind, value, "user"'
ROWS = f"""
SELECT substr(CAST(100000000 + n AS TEXT), 2), {BEGIN} + n * 100, {BEGIN} + n * 100 + 900, 'town',
       substr(CAST(100000000 + n / 3 AS TEXT), 2), 'thumbs', n % 2, 'user ' || (n / 50 % 5000)
"""
SERIES = {
    "sqlite": f"FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s"
    f" WHERE n < {EVENTS}) SELECT n FROM s)",
    "postgresql": f"FROM generate_series(1, {EVENTS}) AS s(n)",
}


def bench_triggers(rounds: int) -> None:
    from tests.postgres import Postgres, why_not

    with tempfile.TemporaryDirectory() as name:
        measure("sqlite", Path(name), None, rounds)
    if why_not():
        return
    server = Postgres()
    try:
        with tempfile.TemporaryDirectory() as name:
            measure("postgresql", Path(name), server.new_database(), rounds)
    finally:
        server.stop()


def measure(kind: str, root: Path, url: str | None, rounds: int) -> None:
    from benchmarks.run import table

    with opened(root, url) as (settings, database):
        began = time.perf_counter()
        fill(kind, database)
        print(f"  {kind}: {EVENTS:,} events in {time.perf_counter() - began:.0f} s", flush=True)
        sides = calls(settings, database)
        times: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(rounds):
            for side, call in sides.items():
                began = time.perf_counter()
                call()
                times[side].append(1000 * (time.perf_counter() - began))
            print(f"  {kind} {number + 1}/{rounds}", flush=True)
    rows = [
        (side, f"{statistics.median(took):.2f} ms", f"{min(took):.2f} to {max(took):.2f} ms")
        for side, took in times.items()
    ]
    table(f"{EVENTS:,} events in {kind}, {rounds} rounds", rows)


@contextmanager
def opened(root: Path, url: str | None) -> Iterator[tuple[Any, Any]]:
    from llmops.spec.settings import Settings
    from llmops.store.database import open_database

    settings = Settings(root=root, cache=root / "cache", database=url)
    database = open_database(settings)
    try:
        yield settings, database
    finally:
        database.dispose()


def fill(kind: str, database: Any) -> None:
    """The events, and how many came, as rows that were inserted one by one would have left it."""
    import sqlalchemy as sa

    from llmops.feedback.growth import note_growth
    from llmops.store.database import writing

    text = f"INSERT INTO feedback ({COLUMNS}) {ROWS} {SERIES[kind]}"
    if kind == "sqlite":
        database.dispose()
        with contextlib.closing(sqlite3.connect(database.url.database)) as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(text)
            connection.commit()
    else:
        with database.begin() as connection:
            connection.execute(sa.text(text))
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE feedback")
    with writing(database) as connection:
        note_growth(connection, ["town"])


def calls(settings: Any, database: Any) -> dict[str, Callable[[], object]]:
    import sqlalchemy as sa

    from llmops.scheduling.looks import look
    from llmops.store.database import reading
    from llmops.store.paths import ProjectPaths
    from llmops.store.tables import feedback, triggers
    from tests.fast.moved_clock import MovedClock
    from tests.fast.scheduled import Scheduled

    scheduled = Scheduled(settings, database, MovedClock())
    scheduled.declare("{feedback: {new_pairs: 500}}", '{cron: "0 3 * * 1"}')
    scheduled.counted(10)
    with reading(database) as connection:
        here = triggers.c.id == "town/feedback"
        row = connection.execute(sa.select(triggers).where(here)).mappings().one()
    paths, rows = ProjectPaths(settings.root), sa.select(sa.func.count()).select_from(feedback)

    def ask(*conditions: Any) -> int:
        with reading(database) as connection:
            query = rows.where(feedback.c.deployment == "town", *conditions)
            return int(connection.execute(query).scalar_one())

    last_day = feedback.c.time > BEGIN + EVENTS * 100 - DAY
    return {
        "the check": lambda: look(database, row, paths),
        "tick, with the check": lambda: scheduled.after(10),
        "counting the last day's events": lambda: ask(last_day),
        "counting the deployment's events": ask,
    }
