"""The ingester: each record once, whatever comes twice, late, damaged, or in between."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from llmops.errors import Failed
from llmops.feedback import ingest as module
from llmops.feedback.ingest import Ingested, fresh, ingest
from llmops.feedback.journal import Journal
from llmops.spec.settings import Settings
from llmops.store import database as store
from llmops.store.database import open_database, reading
from llmops.store.paths import ProjectPaths
from llmops.store.tables import feedback, inferences, positions
from tests.conftest import ROOT
from tests.fast.logged import answer, event, write


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path)


def ids(database: sa.Engine, table: sa.Table) -> list[str]:
    with reading(database) as connection:
        return sorted(connection.scalars(sa.select(table.c.id)))


def rows(database: sa.Engine, query: sa.Select[Any]) -> list[Any]:
    with reading(database) as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_all_that_was_written_is_in_and_the_files_are_gone(
    paths: ProjectPaths, database: sa.Engine
) -> None:
    write(paths, [*(answer(n) for n in range(20)), *(event(n) for n in range(20))])
    assert ingest(paths, database) == Ingested(inferences=20, feedback=20, segments=1)
    assert len(ids(database, inferences)) == len(ids(database, feedback)) == 20
    assert list(paths.journal.iterdir()) == []
    assert rows(database, sa.select(positions)) == []


def test_a_record_that_comes_again_is_one_row(paths: ProjectPaths, database: sa.Engine) -> None:
    write(paths, [answer(1), answer(1), event(1)])
    write(paths, [event(1, value=0.0), event(1)], "town-2")
    assert ingest(paths, database) == Ingested(1, 1, repeated=3, segments=2)
    assert rows(database, sa.select(feedback.c.value)) == [(1.0,)]


def test_feedback_may_come_first_or_alone(paths: ProjectPaths, database: sa.Engine) -> None:
    write(paths, [event(1), event(2)])
    ingest(paths, database)
    write(paths, [answer(1)], "town-2")
    ingest(paths, database)
    query = sa.select(feedback.c.id).join(inferences, feedback.c.inference == inferences.c.id)
    assert rows(database, query) == [("event-1",)]
    assert ids(database, feedback) == ["event-1", "event-2"]


def test_an_open_segment_is_read_and_stays(paths: ProjectPaths, database: sa.Engine) -> None:
    async def run() -> None:
        journal = Journal(paths.journal, "town-1")
        await journal.append(orjson.dumps(answer(1)))
        assert ingest(paths, database) == Ingested(inferences=1)
        await journal.append(orjson.dumps(answer(2)))
        assert ingest(paths, database) == Ingested(inferences=1)
        assert ingest(paths, database) == Ingested()
        await journal.close()

    asyncio.run(run())
    assert ingest(paths, database) == Ingested(segments=1)
    assert ids(database, inferences) == [answer(1)["id"], answer(2)["id"]]


def test_many_journals_of_many_segments(paths: ProjectPaths, database: sa.Engine) -> None:
    for number in range(3):
        some = [answer(n) for n in range(number * 10, number * 10 + 10)]
        write(paths, some, f"town-{number}", segment_bytes=1)
    done = ingest(paths, database)
    assert done.inferences == 30
    assert done.segments >= 3
    assert list(paths.journal.iterdir()) == []


def test_damaged_lines_are_told_and_kept(paths: ProjectPaths, database: sa.Engine) -> None:
    folder = write(paths, [answer(1), b'{"type": "infer', answer(2), b'{"type":"inference"}'])
    at = len(orjson.dumps(answer(1))) + 1
    done = ingest(paths, database)
    first, second = done.damaged
    assert (first.path, first.offset) == (folder / "00000001.jsonl", at)
    assert second.why == "`id` is missing, or no text"
    assert done.inferences == 2
    kept = paths.damaged("town-1", "00000001.jsonl").read_bytes()
    assert kept == b'{"type": "infer\n{"type":"inference"}\n'
    assert not folder.exists()


def test_a_torn_last_line_goes_with_its_segment(paths: ProjectPaths, database: sa.Engine) -> None:
    folder = write(paths, [answer(1)])
    with (folder / "00000001.jsonl").open("ab") as file:
        file.write(orjson.dumps(answer(2))[:40])
    assert ingest(paths, database) == Ingested(inferences=1, segments=1)


def test_what_a_newer_llmops_wrote_waits(paths: ProjectPaths, database: sa.Engine) -> None:
    folder = write(paths, [answer(1), answer(2, format=2), answer(3)])
    for new in (1, 0):
        done = ingest(paths, database)
        assert (done.inferences, done.segments) == (new, 0)
        assert [d.why for d in done.damaged] == ["format 2 is not known to this llmops"]
    assert (folder / "00000001.jsonl").exists()


def test_more_than_a_transaction_takes_goes_in_in_portions(
    paths: ProjectPaths, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops.feedback.ingest.BATCH", 4)
    monkeypatch.setattr("llmops.feedback.ingest.READ_BYTES", 2_000)
    write(paths, [answer(n) for n in range(10)])
    assert ingest(paths, database).inferences == 10
    assert len(ids(database, inferences)) == 10
    assert list(paths.journal.iterdir()) == []


def test_a_segment_whose_removal_was_cut_short_is_not_doubled(
    paths: ProjectPaths, database: sa.Engine
) -> None:
    folder = write(paths, [answer(1), event(1)])
    text = (folder / "00000001.jsonl").read_bytes()
    ingest(paths, database)
    folder.mkdir()
    (folder / "00000001.jsonl").write_bytes(text)
    assert ingest(paths, database) == Ingested(repeated=2, segments=1)


def test_texts_that_one_database_cannot_keep(paths: ProjectPaths, database: sa.Engine) -> None:
    nasty = "NUL \0, emoji \U0001f600, \\u0000"
    said = [{"role": "user", "content": nasty}]
    choices = [{"index": 0, "text": nasty, "finish_reason": "x" * 99}]
    odd = answer(1, messages=said, choices=choices, prompt_tokens=2**40, error="\0")
    lone = orjson.dumps(answer(2, messages=None, prompt="SURROGATE")).replace(
        b"SURROGATE", rb"cut \ud83d"
    )
    write(paths, [odd, lone, event(1, kind="edit", text=nasty, value=1e308)])
    assert ingest(paths, database) == Ingested(2, 1, segments=1)
    found = rows(database, sa.select(inferences.c.response, inferences.c.finish))
    assert found[0] == (nasty.replace("\0", "\ufffd"), "x" * 32)
    assert "cut \ufffd" in rows(database, sa.select(inferences.c.messages))[1][0]


def test_a_deeply_nested_record_is_kept(paths: ProjectPaths, database: sa.Engine) -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    line = orjson.dumps(answer(1, parameters="DEEP")).replace(b'"DEEP"', deep)
    write(paths, [line, orjson.dumps(answer(2)).replace(b"0.7", b"[" * 5000 + b"]" * 5000)])
    done = ingest(paths, database)
    assert (done.inferences, len(done.damaged)) == (1, 1)


def test_a_database_that_is_held_loses_nothing(
    paths: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.05)
    database = open_database(Settings(root=paths.root, cache=paths.root))
    write(paths, [answer(1)])
    other = sqlite3.connect(paths.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Failed, match="locked"):
        ingest(paths, database)
    other.execute("ROLLBACK")
    other.close()
    assert ingest(paths, database).inferences == 1
    database.dispose()


def test_another_ingester_that_does_not_end_is_told(
    paths: ProjectPaths, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.05)
    write(paths, [answer(1)])
    with module._alone(paths), pytest.raises(Failed, match="another ingester does not end"):
        ingest(paths, database)


def test_fresh_is_open_and_up_to_date(settings: Settings, paths: ProjectPaths) -> None:
    write(paths, [answer(1)])
    database = fresh(settings, paths)
    assert len(ids(database, inferences)) == 1
    database.dispose()


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
"""The second only with the slow tests: each process connects anew."""


def drive(name: str, *args: object) -> str:
    """A process of its own that ingests (tests/fast/ingester.py)."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fast.ingester", name, *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return done.stdout


@pytest.mark.parametrize("settings", BOTH, indirect=True)
def test_killed_anywhere_it_neither_loses_nor_doubles(
    settings: Settings, paths: ProjectPaths, database: sa.Engine
) -> None:
    records = [*(answer(n) for n in range(90)), *(event(n) for n in range(90))]
    write(paths, records, segment_bytes=4000)
    killed = int(drive("killed", paths.root, settings.database or ""))
    assert killed == 10
    assert len(ids(database, inferences)) == len(ids(database, feedback)) == 90
    assert list(paths.journal.iterdir()) == []


@pytest.mark.parametrize("settings", BOTH, indirect=True)
def test_several_at_once_bring_each_record_once(
    settings: Settings, paths: ProjectPaths, database: sa.Engine
) -> None:
    write(paths, [answer(n) for n in range(300)], segment_bytes=20_000)
    counts = drive("together", paths.root, settings.database or "", 4).split()
    assert len(counts) == 4
    assert sum(map(int, counts)) == 300
    assert len(ids(database, inferences)) == 300
