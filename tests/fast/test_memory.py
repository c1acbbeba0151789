"""What is remembered between processes: whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmops.store.memory import Memory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    memory = Memory(tmp_path / "cache" / "some.json")
    memory.put("a", [1, "ü"])
    memory.save()
    return tmp_path / "cache" / "some.json"


def test_what_was_saved_is_remembered(file: Path) -> None:
    assert Memory(file).get("a") == [1, "ü"]
    assert Memory(file).get("b") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b"[1,", b"[2,"),
        lambda text: text[:-1],
        lambda text: text.partition(b"\n")[2],
        lambda text: b"",
        lambda text: b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_as_good_as_none(file: Path, damage: Callable[[bytes], bytes]) -> None:
    file.write_bytes(damage(file.read_bytes()))
    memory = Memory(file)
    assert memory.get("a") is None
    memory.put("a", 3)
    memory.save()
    assert Memory(file).get("a") == 3


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, where a directory should be")
    memory = Memory(tmp_path / "cache" / "some.json")
    memory.put("a", 1)
    memory.save()
    assert Memory(tmp_path / "cache" / "some.json").get("a") is None
