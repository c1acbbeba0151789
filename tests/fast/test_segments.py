"""The journal's reading side, on files as crashes and bad disks leave them."""

from pathlib import Path

import pytest

from llmops.feedback.segments import (
    Segment,
    is_closed,
    remove,
    segments,
    whole_lines,
    writers,
)
from tests.records import read


def segment(root: Path, content: bytes, number: int = 1) -> Segment:
    folder = root / "w"
    folder.mkdir(exist_ok=True)
    path = folder / f"{number:08d}.jsonl"
    path.write_bytes(content)
    return Segment("w", number, path)


def test_whole_lines_are_read_from_an_offset(tmp_path: Path) -> None:
    one = segment(tmp_path, b'{"n":1}\n{"n":2}\n')
    assert read(one).records == [{"n": 1}, {"n": 2}]
    assert read(one, 8).records == [{"n": 2}]
    assert read(one, 16) == read(one, read(one).end)


def test_a_torn_last_line_is_left_alone_until_it_is_whole(tmp_path: Path) -> None:
    one = segment(tmp_path, b'{"n":1}\n{"n":')
    first = read(one)
    assert (first.records, first.end, first.damaged) == ([{"n": 1}], 8, [])
    assert whole_lines(one.path, 0, 100) == b'{"n":1}\n'
    assert whole_lines(one.path, 8, 100) == b""
    segment(tmp_path, b'{"n":1}\n{"n":2}\n')
    assert read(one, first.end).records == [{"n": 2}]


def test_a_torn_line_in_one_segment_does_not_reach_the_next(tmp_path: Path) -> None:
    segment(tmp_path, b'{"n":1}\n{"n":')
    segment(tmp_path, b'{"n":3}\n', 2)
    found = [record for one in segments(tmp_path, "w") for record in read(one).records]
    assert found == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize(
    "damaged", [b"\x00\x00\x00", b'{"n":', b"", b"[1]", b"7", b'{"n":"\xff"}', b'{"a":1}{"b":2}']
)
def test_a_damaged_line_is_reported_with_its_place_and_skipped(
    tmp_path: Path, damaged: bytes
) -> None:
    one = segment(tmp_path, b'{"n":1}\n' + damaged + b'\n{"n":3}\n')
    chunk = read(one)
    assert chunk.records == [{"n": 1}, {"n": 3}]
    assert [(d.path, d.offset) for d in chunk.damaged] == [(one.path, 8)]
    assert f"{one.path}: the line at byte 8 is damaged" in str(chunk.damaged[0])


def test_line_ends_of_other_systems_do_not_shift_offsets(tmp_path: Path) -> None:
    one = segment(tmp_path, b'{"n":1}\r\n{"n":2}\n')
    assert read(one).end == 17
    assert read(one, 9).records == [{"n": 2}]


def test_a_line_longer_than_the_limit_is_read_whole(tmp_path: Path) -> None:
    long = b'{"n":"' + b"x" * 1000 + b'"}\n'
    one = segment(tmp_path, long + b'{"n":2}\n')
    assert read(one, 0, limit=10).end == len(long)
    assert read(one, len(long), limit=10).records == [{"n": 2}]


def test_a_large_segment_is_read_in_parts(tmp_path: Path) -> None:
    one = segment(tmp_path, b"".join(b'{"n":%d}\n' % n for n in range(1000)))
    found, offset = [], 0
    while (chunk := read(one, offset, limit=100)).end > offset:
        assert len(chunk.records) <= 13
        found += [record["n"] for record in chunk.records]
        offset = chunk.end
    assert found == list(range(1000))


def test_a_segment_that_is_gone_or_was_cut_back_has_no_records(tmp_path: Path) -> None:
    one = segment(tmp_path, b'{"n":1}\n')
    assert (read(one, 100).records, read(one, 100).end) == ([], 100)
    one.path.unlink()
    assert (read(one, 8).records, read(one, 8).end) == ([], 8)


def test_there_may_be_no_journal_yet(tmp_path: Path) -> None:
    assert writers(tmp_path / "journal") == []
    assert segments(tmp_path / "journal", "w") == []


def test_what_is_no_segment_is_passed_over(tmp_path: Path) -> None:
    one = segment(tmp_path, b"")
    (tmp_path / "w" / "notes.jsonl").write_text("x", encoding="utf-8")
    (tmp_path / ".w.tmp").mkdir()
    (tmp_path / "position").write_text("1", encoding="utf-8")
    assert writers(tmp_path) == ["w"]
    assert segments(tmp_path, "w") == [one]


def test_segments_without_a_process_are_closed(tmp_path: Path) -> None:
    assert is_closed(segment(tmp_path, b""))


def test_removing_the_last_segment_of_a_dead_writer_removes_it(tmp_path: Path) -> None:
    first, second = segment(tmp_path, b"{}\n"), segment(tmp_path, b"{}\n", 2)
    remove(first)
    assert segments(tmp_path, "w") == [second]
    remove(second)
    remove(second)
    assert writers(tmp_path) == []
