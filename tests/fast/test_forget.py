"""Forgetting a user: the texts are gone from rows and files, ids and counts stay, late records
too; what cannot be changed is told."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import sqlalchemy as sa

from llmops.engines.llamafactory.datasets import info_text
from llmops.errors import Failed
from llmops.feedback.erase import Forgotten, TouchedSnapshot, forget
from llmops.feedback.identity import Identity
from llmops.feedback.ingest import ingest
from llmops.feedback.journal import Journal
from llmops.feedback.redaction import expire, purge
from llmops.feedback.retention import Expired, expire_all, retentions
from llmops.lineage.uses import SnapshotEraser, uses
from llmops.preferences.erasure import wipe_copies
from llmops.preferences.save import save
from llmops.preferences.snapshot import find_snapshot
from llmops.registry.manifest import DataUsed, Draft, Golden, Lineage
from llmops.registry.remote.seen import Seen, remember
from llmops.registry.store import Registry
from llmops.spec.settings import Settings
from llmops.storage.deletion import delete
from llmops.store.database import open_database, reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.run_paths import AttemptPaths
from llmops.store.tables import feedback, inferences, tombstones
from tests.fast.logged import IDENTITY, NOW, answer, event, write
from tests.fast.models_on_disk import write_full
from tests.fast.said import Said, recipe

SECRET = "my grandmother lives in Abbern"
ALICE, BOB = IDENTITY.user("alice"), IDENTITY.user("bob")


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path)


def of_alice(number: int, **changes: Any) -> dict[str, Any]:
    said = {
        "user": ALICE,
        "messages": [{"role": "user", "content": SECRET}],
        "parameters": {"stop": [SECRET]},
        "choices": [{"index": 0, "text": f"{SECRET}, indeed", "finish_reason": "stop"}],
    }
    return answer(number, **(said | changes))


def forget_alice(paths: ProjectPaths, database: sa.Engine) -> Forgotten:
    return forget("alice", paths, database, IDENTITY, SnapshotEraser(paths))


def texts(database: sa.Engine) -> str:
    """All that the tables hold, as text."""
    found = []
    with reading(database) as connection:
        for table in (inferences, feedback, tombstones):
            found += [repr(tuple(row)) for row in connection.execute(sa.select(table))]
    return "\n".join(found)


def count(database: sa.Engine, table: sa.Table, *where: Any) -> int:
    with reading(database) as connection:
        query = sa.select(sa.func.count()).select_from(table).where(*where)
        return int(connection.execute(query).scalar_one())


def test_what_was_said_is_gone_and_what_was_counted_stays(
    paths: ProjectPaths, database: sa.Engine
) -> None:
    own = event(1, kind="edit", text=SECRET, user=ALICE, inference=answer(9)["id"])
    others = event(2, kind="comment", text=f"{SECRET}?", user=BOB)
    write(paths, [of_alice(1), of_alice(2, error=SECRET), answer(9, user=BOB), own, others])
    done = forget_alice(paths, database)
    assert (done.inferences, done.events, done.known) == (2, 2, 4)
    assert SECRET not in texts(database)
    assert count(database, inferences) == 3
    assert count(database, inferences, inferences.c.redacted.is_not(None)) == 2
    assert count(database, inferences, inferences.c.error.is_not(None)) == 1
    assert "Question 9" in texts(database)


def test_after_a_purge_that_failed_transactions_are_transactions(database: sa.Engine) -> None:
    """PostgreSQL's takes a connection out of them."""
    with writing(database) as connection:
        connection.exec_driver_sql("ALTER TABLE feedback RENAME TO away")
    with contextlib.suppress(sa.exc.ProgrammingError, Failed):
        purge(database)
    row = {"id": "t", "user": "u", "time": 1, "inferences": 0, "events": 0, "detail": "{}"}
    with contextlib.suppress(KeyError), writing(database) as connection:
        connection.execute(sa.insert(tombstones).values(**row))
        raise KeyError
    assert count(database, tombstones) == 0


def test_the_file_itself_does_not_hold_it_any_more(paths: ProjectPaths) -> None:
    database = open_database(Settings(root=paths.root, cache=paths.root))
    mixed = [of_alice(n) if n % 3 else answer(n, user=BOB) for n in range(600)]
    edits = [event(n, kind="edit", text=SECRET * 200) for n in range(1, 600, 3)]
    write(paths, [*mixed, *edits])
    ingest(paths, database)
    files = [paths.database, paths.database.with_name("llmops.db-wal")]
    assert any(SECRET.encode() in file.read_bytes() for file in files)
    assert forget_alice(paths, database).purged
    assert not any(SECRET.encode() in file.read_bytes() for file in files)
    assert "Question 9" in texts(database)
    database.dispose()


def test_a_tombstone_holds_a_keyed_hash_of_what_was_there(
    paths: ProjectPaths, database: sa.Engine
) -> None:
    write(paths, [of_alice(1)])
    done = forget_alice(paths, database)
    with reading(database) as connection:
        row = connection.execute(sa.select(tombstones)).mappings().one()
    assert (row["id"], row["user"], row["inferences"]) == (done.tombstone, ALICE, 1)
    assert len(orjson.loads(row["detail"])["hmac_sha256"]) == 64
    other = Identity(b"another secret, also 32 bytes ......")
    assert other.user("alice") != row["user"]


def test_records_that_come_late_are_erased_on_their_way_in(
    paths: ProjectPaths, database: sa.Engine
) -> None:
    write(paths, [event(7, kind="comment", text=SECRET), event(8, kind="edit", text=SECRET)])
    forget_alice(paths, database)
    write(paths, [of_alice(7), event(9, kind="comment", text=SECRET, user=ALICE)], "town-2")
    ingest(paths, database)
    about = event(10, kind="edit", text=SECRET, inference=answer(7)["id"])
    write(paths, [about], "town-3")
    ingest(paths, database)
    kept = [row for row in texts(database).splitlines() if SECRET in row]
    assert [row[:10] for row in kept] == ["('event-8'"], "which is about nobody's answer"


def test_a_user_who_comes_back_is_a_user_again(paths: ProjectPaths, database: sa.Engine) -> None:
    write(paths, [of_alice(1)])
    forget_alice(paths, database)
    write(paths, [of_alice(2, time=NOW * 2)], "town-2")
    ingest(paths, database)
    assert count(database, inferences, inferences.c.redacted.is_(None)) == 1


def test_a_stranger_is_nobody(paths: ProjectPaths, database: sa.Engine) -> None:
    write(paths, [answer(1, user=BOB)])
    done = forget_alice(paths, database)
    assert (done.known, done.snapshots) == (0, [])


def test_what_is_still_being_written_is_told(paths: ProjectPaths, database: sa.Engine) -> None:
    async def run() -> Forgotten:
        journal = Journal(paths.journal, "town-1")
        await journal.append(orjson.dumps(of_alice(1)))
        done = forget_alice(paths, database)
        await journal.close()
        return done

    done = asyncio.run(run())
    assert done.inferences == 1
    (told,) = done.segments.items()
    assert told[0].endswith("00000001.jsonl")
    assert "still being written" in told[1]
    ingest(paths, database)
    assert SECRET not in texts(database)
    assert list(paths.journal.iterdir()) == []


def test_damaged_lines_of_the_user_are_told(paths: ProjectPaths, database: sa.Engine) -> None:
    write(paths, [of_alice(1), orjson.dumps(of_alice(2))[:-10]])
    (told,) = forget_alice(paths, database).segments.values()
    assert told.startswith("damaged lines")


def test_suites_made_of_the_answers_are_told(paths: ProjectPaths, database: sa.Engine) -> None:
    suites = paths.root / "suites" / "data"
    suites.mkdir(parents=True)
    for name, number in (("alice", 1), ("bob", 2)):
        item = {"inference": answer(number)["id"], "prompt": SECRET}
        (suites / f"{name}.jsonl").write_bytes(orjson.dumps(item))
    write(paths, [of_alice(1), answer(2, user=BOB)])
    (told,) = forget_alice(paths, database).files
    assert told.endswith("alice.jsonl")


def snapshot_of(paths: ProjectPaths) -> Said:
    said = Said()
    for user in (ALICE, BOB):
        for number in range(5):
            prompt = f"{user} asks {number}"
            good, bad = (said.ask(prompt, text, user) for text in (f"{prompt}: yes", "well"))
            said.vote(good, bad, "first")
    save(said.build("votes"), recipe("votes"), paths)
    return said


def register(paths: ProjectPaths, golden: str) -> None:
    """town:v1, trained on the snapshot; its golden prompt as given."""
    train = find_snapshot("town", paths).train
    used = DataUsed(path=str(train.relative_to(paths.root)), sha256="0" * 64, samples=9)
    prompt = Golden(text=golden, prompt_ids=[1], completion_ids=[2], logprobs=[-1.0])
    lineage = Lineage(data=[used])
    draft = Draft(name="town", kind="full", stage="dpo", golden=[prompt], lineage=lineage)
    Registry(paths).add(draft, write_full(paths.root / "model"))


def test_rows_of_snapshots_go_and_versions_are_named(
    paths: ProjectPaths, database: sa.Engine
) -> None:
    said = snapshot_of(paths)
    register(paths, f"{ALICE} asks 1")
    before = find_snapshot("town", paths)
    write(paths, said.records)
    for _ in range(2):  # the second time finishes what was interrupted, and finds nothing
        done = forget_alice(paths, database)
        assert done.golden == ["town:v1"]
    after = find_snapshot("town", paths)
    for file in after.directory.iterdir():
        assert f"{ALICE} asks".encode() not in file.read_bytes()
    assert pl.read_parquet(after.pairs).height == 5
    assert after.digest != before.digest


def test_a_version_that_learned_from_the_user_can_be_deleted(
    paths: ProjectPaths, database: sa.Engine
) -> None:
    """Where it lies on the Hub is told, also once it is no more here."""
    said = snapshot_of(paths)
    register(paths, f"{ALICE} asks 1")
    write(paths, said.records)
    there = Seen(repository="acme/town", time="", versions={1: "c0ffee"}, moves=[])
    remember(there, "town", paths)
    assert forget_alice(paths, database).remote == {"town:v1": "acme/town@v1"}
    settings = Settings(root=paths.root, cache=paths.root / "cache")
    delete("town:v1", Registry(paths), settings, why="", by="")
    again = forget_alice(paths, database)
    assert (again.golden, again.remote) == ([], {"town:v1": "acme/town@v1"})
    left = [path for path in paths.models.rglob("*") if path.is_file()]
    assert not any(f"{ALICE} asks".encode() in path.read_bytes() for path in left)


@pytest.mark.parametrize(("number", "wiped"), [(1, True), (10, False)])
@pytest.mark.parametrize("folder", ["project", "größer"])
def test_logs_of_trainings_on_the_snapshot_go_and_others_stay(
    tmp_path: Path, number: int, wiped: bool, folder: str
) -> None:
    paths = ProjectPaths(tmp_path / folder)
    snapshot_of(paths)
    snapshot = find_snapshot("town", paths)
    attempt = AttemptPaths(paths.runs / "round" / "dpo" / "1")
    attempt.root.mkdir(parents=True)
    attempt.log.write_text(f"an example: {SECRET}", encoding="utf-8")
    train = snapshot.directory.with_name(str(number)) / "train.jsonl"
    (attempt.root / "dataset_info.json").write_text(info_text({"t": {"file_name": str(train)}}))
    wipe_copies(snapshot, paths)
    assert (SECRET not in attempt.log.read_text(encoding="utf-8")) == wiped


def test_what_went_into_which_version(paths: ProjectPaths, database: sa.Engine) -> None:
    said = snapshot_of(paths)
    register(paths, "something else")
    write(paths, said.records)
    (use,) = uses([said.events[0]["id"]], paths)
    assert (use.snapshot.id, use.rows, use.versions) == ("preferences:town@1", 1, ["town:v1"])
    (touched,) = forget_alice(paths, database).snapshots
    assert (touched.rows, touched.versions) == (5, ["town:v1"])
    assert touched.before != touched.after


def test_what_was_touched_is_told_again_also_after_an_interruption(
    paths: ProjectPaths, database: sa.Engine
) -> None:
    class Interrupted(SnapshotEraser):
        def erase(self, *args: Any) -> list[TouchedSnapshot]:
            super().erase(*args)
            raise Failed("the power went away")

    said = snapshot_of(paths)
    register(paths, "something else")
    write(paths, said.records)
    before = find_snapshot("town", paths).digest
    with pytest.raises(Failed, match="power"):
        forget("alice", paths, database, IDENTITY, Interrupted(paths))
    after = find_snapshot("town", paths).digest
    told = TouchedSnapshot("preferences:town@1", 5, before, after, ["town:v1"])
    for _ in range(2):
        assert forget_alice(paths, database).snapshots == [told]


def test_old_texts_expire(paths: ProjectPaths, database: sa.Engine) -> None:
    write(paths, [answer(1), answer(2), answer(3, deployment="city"), event(-999, text="old")])
    ingest(paths, database)
    assert expire(database, "town", NOW + 2, NOW) == (1, 1)
    assert expire(database, "town", NOW + 2, NOW) == (0, 0)
    assert count(database, inferences, inferences.c.messages.is_(None)) == 1
    assert count(database, inferences, inferences.c.total_ms.is_(None)) == 0


def test_retention_is_what_the_deployment_declares(
    paths: ProjectPaths, database: sa.Engine, settings: Settings
) -> None:
    folder = paths.root / "serving"
    folder.mkdir()
    (folder / "broken.yaml").write_text("name: [", encoding="utf-8")
    (folder / "town.yaml").write_text(
        "name: town\nvariants: {a: {model: 'town:v1'}}\nfeedback: {retention: 30d}\n",
        encoding="utf-8",
    )
    assert retentions(settings) == {"town": "30d"}
    (folder / "a.yaml").write_text((folder / "town.yaml").read_text().replace("30d", "5d"))
    (folder / "z.yaml").write_text((folder / "town.yaml").read_text().replace("30d", "12h"))
    assert retentions(settings) == {"town": "30d"}
    write(paths, [answer(1), event(1, text="x")])
    ingest(paths, database)
    month = 30 * 86400
    assert expire_all(settings, database, now=NOW / 1000 + month) == []
    later = expire_all(settings, database, now=NOW / 1000 + month + 10)
    assert later == [Expired("town", "30d", 1, 1)]
