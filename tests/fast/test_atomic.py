"""Writes that leave the old state or the new one."""

import os
from pathlib import Path

import pytest

from llmops.store.atomic import append_line, new_directory, write_text


def test_a_text_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b.txt"
    write_text(file, "one")
    write_text(file, "two")
    assert file.read_text(encoding="utf-8") == "two"
    assert os.listdir(file.parent) == ["b.txt"]


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "b.txt"
    write_text(file, "one")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "\ud800")
    assert file.read_text(encoding="utf-8") == "one"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_lines_are_appended(tmp_path: Path) -> None:
    append_line(tmp_path / "log", "1")
    append_line(tmp_path / "log", "2")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "1\n2\n"


def test_a_directory_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    with new_directory(tmp_path / "d") as folder:
        (folder / "f").write_text("x", encoding="utf-8")
        assert not (tmp_path / "d").exists()
    assert (tmp_path / "d" / "f").read_text(encoding="utf-8") == "x"


def test_a_directory_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), new_directory(tmp_path / "d") as folder:
        folder.write_text("a directory is no file", encoding="utf-8")
    assert os.listdir(tmp_path) == []


def test_a_directory_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(FileExistsError), new_directory(tmp_path / "d"):
        pass
    assert os.listdir(tmp_path) == ["d"]
