"""The journal's writing side, in one process."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import Failed
from llmops.feedback.journal import Journal, writer_name
from llmops.feedback.segment_file import SegmentFile, open_writer
from llmops.feedback.segments import is_alive, is_closed, segments, writers
from llmops.store.paths import WriterPaths
from tests.records import read
from tests.waiting import until


def within(root: Path, use: Callable[[Journal], Awaitable[None]], **options: Any) -> None:
    """Use a journal, closed in the end."""

    async def run() -> None:
        journal = Journal(root, "w", **options)
        try:
            await use(journal)
        finally:
            await journal.close()

    asyncio.run(run())


def kept(root: Path) -> list[int]:
    return [record["n"] for segment in segments(root, "w") for record in read(segment, 0).records]


def line(number: int) -> bytes:
    return b'{"n":%d}' % number


def test_appended_records_are_read_back_in_order(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        for number in range(20):
            await journal.append(line(number))
            assert kept(tmp_path)[-1] == number

    within(tmp_path, use)
    assert kept(tmp_path) == list(range(20))


def test_many_who_append_at_once_are_all_kept(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await asyncio.gather(*(journal.append(line(number)) for number in range(3000)))

    within(tmp_path, use, segment_bytes=4000)
    assert kept(tmp_path) == list(range(3000))


def test_threads_with_event_loops_of_their_own_share_a_journal(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        threads = [
            threading.Thread(target=lambda i=i: asyncio.run(journal.append(line(i))))  # type: ignore[misc]
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)

    within(tmp_path, use)
    assert sorted(kept(tmp_path)) == [0, 1, 2, 3]


def test_a_record_that_nobody_waits_for_is_on_disk_within_100_ms(tmp_path: Path) -> None:
    took: list[float] = []

    async def use(journal: Journal) -> None:
        for number in range(5):
            began = time.monotonic()
            journal.append_soon(line(number))
            until(lambda: number in kept(tmp_path))  # noqa: B023
            took.append(time.monotonic() - began)

    within(tmp_path, use)
    assert min(took) < 0.1  # the quickest: other processes may hold the machine for a while


def test_a_record_that_is_waited_for_takes_earlier_ones_with_it(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        journal.append_soon(line(0))
        await journal.append(line(1))
        assert kept(tmp_path) == [0, 1]

    within(tmp_path, use)


def test_closing_writes_what_still_waits(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        for number in range(100):
            journal.append_soon(line(number))

    within(tmp_path, use)
    assert kept(tmp_path) == list(range(100))


def test_a_closed_journal_refuses(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await journal.close()
        journal.append_soon(line(1))
        assert journal.lost == 1
        with pytest.raises(Failed, match="closed"):
            await journal.append(line(2))

    within(tmp_path, use)
    assert kept(tmp_path) == []


def test_who_goes_away_while_waiting_has_appended(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        task = asyncio.create_task(journal.append(line(7)))
        await asyncio.sleep(0)
        task.cancel()
        await journal.append(line(8))

    within(tmp_path, use)
    assert kept(tmp_path) == [7, 8]


def test_a_queue_that_is_full_refuses_and_counts(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        with pytest.raises(Failed, match="does not keep up"):
            await journal.append(b'"' + b"x" * 100 + b'"')
        journal.append_soon(b'"' + b"x" * 100 + b'"')
        assert journal.lost == 1
        await journal.append(line(1))

    within(tmp_path, use, queue_bytes=100)
    assert kept(tmp_path) == [1]


def test_records_that_are_appended_together_are_kept_together(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        with pytest.raises(Failed, match="does not keep up"):
            await journal.append(*(line(number) for number in range(20)))
        await journal.append(line(1), line(2), line(3))

    within(tmp_path, use, queue_bytes=100)
    assert kept(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize("record", [b"", b"{}\n", b"{\n}"])
def test_a_record_is_one_line(tmp_path: Path, record: bytes) -> None:
    async def use(journal: Journal) -> None:
        with pytest.raises(ValueError, match="one line"):
            await journal.append(record)
        with pytest.raises(ValueError, match="one line"):
            journal.append_soon(record)

    within(tmp_path, use)


def test_a_directory_that_goes_away_is_told_and_what_is_lost_counted(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        os.rename(journal.root, tmp_path / "elsewhere")
        with pytest.raises(Failed, match="cannot be written"):
            await journal.append(line(1))
        journal.append_soon(line(2))
        until(lambda: journal.lost == 1)
        assert journal.failure is not None
        os.rename(tmp_path / "elsewhere", journal.root)
        await journal.append(line(3))
        assert journal.failure is None

    within(tmp_path, use)
    assert kept(tmp_path) == [3]


def test_a_failure_is_told_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(journal: Journal) -> None:
        os.rename(journal.root, tmp_path / "elsewhere")
        with pytest.raises(Failed):
            await journal.append(line(1))
        assert journal.failure is not None
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 30)
        assert journal.failure is None
        monkeypatch.undo()
        os.rename(tmp_path / "elsewhere", journal.root)

    within(tmp_path, use, failure_seconds=30)


def test_a_writer_appends_to_no_other_writers_files(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await journal.append(line(1))
        with pytest.raises(Failed, match="cannot be written"):
            Journal(tmp_path, "w")

    within(tmp_path, use)
    with pytest.raises(Failed):
        Journal(tmp_path, "w")
    assert os.listdir(tmp_path) == ["w"]


def test_names_of_writers_differ() -> None:
    assert writer_name("town").startswith("town-")
    assert len({writer_name("town") for _ in range(50)}) == 50


def test_segments_follow_each_other_by_size(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        for number in range(6):
            await journal.append(line(number))
        found = segments(tmp_path, "w")
        assert [segment.path.stat().st_size for segment in found] == [16, 16, 16]
        assert [is_closed(segment) for segment in found] == [True, True, False]
        WriterPaths(journal.root).closed.unlink()
        assert [is_closed(segment) for segment in found] == [True, True, False]

    within(tmp_path, use, segment_bytes=20)
    assert all(is_closed(segment) for segment in segments(tmp_path, "w"))


def test_a_segment_ends_by_age_without_another_record(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await journal.append(line(1))
        deadline = time.monotonic() + 10
        while not is_closed(segments(tmp_path, "w")[0]):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        assert is_alive(tmp_path, "w")
        await journal.append(line(2))
        assert len(segments(tmp_path, "w")) == 2

    within(tmp_path, use, segment_seconds=0.02)


def test_a_segments_age_counts_from_its_first_record(tmp_path: Path) -> None:
    now = [100.0]
    paths, handle = open_writer(tmp_path, "w")
    file = SegmentFile(paths, bytes=1000, seconds=60, clock=lambda: now[0])
    assert file.ends_in() is None
    file.commit(b"{}\n")
    now[0] = 130.0
    file.commit(b"{}\n")
    assert file.ends_in() == 30.0
    file.finish()
    assert file.ends_in() is None
    os.close(handle)


def test_a_closed_journal_leaves_a_dead_writer(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await journal.append(line(1))
        assert is_alive(tmp_path, "w")

    within(tmp_path, use)
    assert writers(tmp_path) == ["w"]
    assert not is_alive(tmp_path, "w")


def test_a_new_writer_sweeps_away_what_dead_ones_left_empty(tmp_path: Path) -> None:
    async def run() -> None:
        await Journal(tmp_path, "empty").close()
        kept = Journal(tmp_path, "kept")
        await kept.append(line(1))
        await kept.close()
        alive = Journal(tmp_path, "alive")
        await Journal(tmp_path, "new").close()
        assert writers(tmp_path) == ["alive", "kept", "new"]
        await alive.close()

    asyncio.run(run())


def test_others_may_not_read_the_journal(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await journal.append(line(1))

    within(tmp_path / "journal", use)
    paths = WriterPaths(tmp_path / "journal" / "w")
    assert paths.root.stat().st_mode & 0o077 == 0
    assert paths.segment(1).stat().st_mode & 0o077 == 0
