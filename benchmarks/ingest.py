"""Records a second from the journal into the database, beside the driver's own executemany; and a
million events as a frame, beside ADBC and connectorx.

    python benchmarks/run.py ingest

Each measurement is a process of its own. Records are complete: three answers of about 1.4 kB to one
event. The peer inserts the very same rows, made before its clock starts, into the same tables with
the same settings and as large transactions: what remains is reading, checking and hashing. For the
frames, ADBC and connectorx are measured where they are installed; the product uses neither.
PostgreSQL is measured where its server is installed, without fsync.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORDS = 60_000
EVENTS = 1_000_000
WORDS = "the river that flows past the old mill of Abbern has three bridges and a weir ".split()


def bench_ingest(rounds: int) -> None:
    from benchmarks.run import table
    from tests.postgres import Postgres, why_not

    server = None if why_not() else Postgres()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_journal(folder)
            sides = ["ingest", "executemany"] + (["ingest-postgresql"] if server else [])
            found = rounds_of(sides, rounds, folder, server)
            size = sum(f.stat().st_size for f in (folder / ".llmops").rglob("*.jsonl")) / RECORDS
            title = f"{RECORDS:,} records of {size:,.0f} bytes, {rounds} rounds"
            for figure, unit in (("rate", "records/s"), ("cpu", "µs of CPU a record")):
                table(f"{title}: {unit}", [row(s, found[s], figure, unit) for s in sides])
            fill(folder)
            sides = ["cursor", *(side for side in ("adbc", "connectorx") if installed(side))]
            found = rounds_of(sides, rounds, folder, None)
            title = f"{EVENTS:,} events from SQLite as a frame, {rounds} rounds"
            for figure, unit in (("seconds", "s"), ("cpu", "s of CPU"), ("peak", "MiB")):
                table(f"{title}: {unit}", [row(s, found[s], figure, unit) for s in sides])
    finally:
        if server is not None:
            server.stop()


def rounds_of(
    sides: list[str], rounds: int, folder: Path, server: Any
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides:
            url = server.new_database() if side.endswith("postgresql") else ""
            argv = [sys.executable, "-m", "benchmarks.ingest", side, str(folder), url]
            done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, check=True)
            found[side].append(json.loads(done.stdout))
            print(f"  round {number + 1}/{rounds} {side}: {found[side][-1]}", flush=True)
    return found


def row(side: str, runs: list[dict[str, Any]], figure: str, unit: str) -> tuple[str, str, str]:
    values = [run[figure] for run in runs]
    digits = ",.0f" if max(values) > 100 else ".2f"
    spread = f"{min(values):{digits}} to {max(values):{digits}} {unit}"
    return side, f"{statistics.median(values):{digits}} {unit}", spread


def installed(side: str) -> bool:
    from importlib.util import find_spec

    return find_spec({"adbc": "adbc_driver_sqlite"}.get(side, side)) is not None


def record(number: int) -> dict[str, Any]:
    from tests.fast.logged import answer, event

    if number % 4 == 3:
        return event(number, inference=f"{number - 1:040d}")
    text = " ".join(WORDS[(number + i * i) % len(WORDS)] for i in range(60))
    asked = [{"role": "system", "content": text[:200]}, {"role": "user", "content": text[:120]}]
    choices = [{"index": 0, "text": text, "tool_calls": None, "finish_reason": "stop"}]
    return answer(number, messages=asked, choices=choices)


def write_journal(folder: Path) -> None:
    from llmops.store.paths import ProjectPaths
    from tests.fast.logged import write

    write(ProjectPaths(folder), map(record, range(RECORDS)), "town-bench")


def fill(folder: Path) -> None:
    """A database with the million events, most of them thumbs, some edits."""
    from llmops.feedback.batch import insert
    from llmops.feedback.rows import feedback_row
    from llmops.store.database import writing
    from tests.fast.logged import NOW, event

    database = opened(folder)
    edit = {"kind": "edit", "value": None, "text": " ".join(WORDS * 3)}
    for begin in range(0, EVENTS, 50_000):
        rows = [
            feedback_row(event(n, **(edit if n % 10 == 7 else {})), NOW)
            for n in range(begin, begin + 50_000)
        ]
        with writing(database) as connection:
            insert(connection, [], rows)
    database.dispose()


def opened(folder: Path, url: str = "") -> Any:
    from llmops.spec.settings import Settings
    from llmops.store.database import open_database

    return open_database(Settings(root=folder, cache=folder, database=url or None))


def ingest(folder: Path, url: str) -> dict[str, float]:
    """The whole ingester on a copy of the journal."""
    from llmops.feedback.ingest import ingest
    from llmops.store.paths import ProjectPaths

    with tempfile.TemporaryDirectory(dir=folder) as name:
        copy = ProjectPaths(Path(name))
        shutil.copytree(ProjectPaths(folder).journal, copy.journal)
        database = opened(copy.root, url)
        began, cpu = time.perf_counter(), time.process_time()
        done = ingest(copy, database)
        taken, cpu = time.perf_counter() - began, time.process_time() - cpu
        assert done.inferences + done.feedback == RECORDS
        return {"rate": RECORDS / taken, "cpu": cpu / RECORDS * 1e6}


def executemany(folder: Path, url: str) -> dict[str, float]:
    """The driver alone: rows that are there already, 5,000 to a transaction."""
    from llmops.feedback.ingest import BATCH
    from llmops.feedback.rows import feedback_row, inference_row
    from llmops.store.tables import feedback, inferences
    from tests.fast.logged import NOW

    records = [record(number) for number in range(RECORDS)]
    batches = []
    for begin in range(0, RECORDS, BATCH):
        some = records[begin : begin + BATCH]
        answers = [inference_row(r) for r in some if r["type"] == "inference"]
        batches.append((answers, [feedback_row(r, NOW) for r in some if r["type"] == "feedback"]))
    with tempfile.TemporaryDirectory(dir=folder) as name:
        pooled = opened(Path(name)).raw_connection()
        driver = pooled.driver_connection
        texts = [
            f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.c))})"
            for table in (inferences, feedback)
        ]
        began, cpu = time.perf_counter(), time.process_time()
        for batch in batches:
            driver.execute("BEGIN IMMEDIATE")
            for text, rows in zip(texts, batch, strict=True):
                driver.executemany(text, rows)
            driver.execute("COMMIT")
        taken, cpu = time.perf_counter() - began, time.process_time() - cpu
        pooled.close()
    return {"rate": RECORDS / taken, "cpu": cpu / RECORDS * 1e6}


def frame(side: str, folder: Path) -> dict[str, float]:
    import polars as pl

    from llmops.feedback import frames
    from llmops.store.paths import ProjectPaths
    from llmops.store.tables import feedback

    file = ProjectPaths(folder).database
    names = ", ".join(f'"{name}"' for name in feedback.c.keys())  # noqa: SIM118
    query = f"SELECT {names} FROM feedback WHERE deployment = 'town'"
    before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    began, cpu = time.perf_counter(), time.process_time()
    if side == "cursor":
        found = frames.rows_of(opened(folder), feedback, "town")
    elif side == "adbc":
        found = _adbc(file, query)
    else:
        import connectorx

        found = pl.DataFrame(connectorx.read_sql(f"sqlite://{file}", query, return_type="polars"))
    taken, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert found.height == EVENTS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return {"seconds": taken, "cpu": cpu, "peak": peak / 2**20}


def _adbc(file: Path, query: str) -> Any:
    """ADBC infers types from the first rows, so a first row shows them all; it is cut off again."""
    import adbc_driver_sqlite.dbapi
    import polars as pl
    import sqlalchemy as sa

    from llmops.store.tables import feedback

    samples = {sa.Integer: "0", sa.Float: "0.5"}
    shown = ", ".join(
        next((s for kind, s in samples.items() if isinstance(column.type, kind)), "''")
        + f' AS "{column.name}"'
        for column in feedback.c
    )
    connect = adbc_driver_sqlite.dbapi.connect
    with connect(f"file:{file}?mode=ro") as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
        cursor.execute(f"SELECT {shown} UNION ALL {query}")
        return pl.DataFrame(cursor.fetch_arrow()).slice(1)


def main() -> None:
    side, folder, url = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if side.startswith("ingest"):
        figures = ingest(folder, url)
    else:
        figures = executemany(folder, url) if side == "executemany" else frame(side, folder)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
