"""Inspections remembered by content."""

from pathlib import Path

import pytest

from llmops.data.layouts import LAYOUTS, STAGE_LAYOUTS
from llmops.data.memory import Inspections
from llmops.errors import BadInput
from llmops.spec.recipe import DataFile, Layout
from llmops.store.digest import sha256_file
from llmops.store.memory import Memory

ROWS = '{"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]}\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "a.jsonl"
    file.write_text(ROWS * 3, encoding="utf-8")
    return file


def memory(folder: Path) -> Inspections:
    return Inspections(folder / "memory.json", sha256_file)


def look(inspections: Inspections, data: Path, wanted: frozenset[Layout] | None = None) -> int:
    file = DataFile(path=str(data))
    found = inspections.inspect(file, data, where=lambda: "here", wanted=wanted or LAYOUTS)
    assert found.path == data
    return found.samples


def test_what_was_saved_is_not_read_again(tmp_path: Path, data: Path) -> None:
    first = memory(tmp_path)
    look(first, data)
    first.save()
    kept = Memory(tmp_path / "memory.json")
    for key, value in list(kept.entries.items()):
        kept.put(key, {**value, "data": {**value["data"], "samples": 7}})
    kept.save()
    assert look(memory(tmp_path), data) == 7


def test_nothing_is_written_before_it_is_saved(tmp_path: Path, data: Path) -> None:
    look(memory(tmp_path), data)
    assert not (tmp_path / "memory.json").exists()


def test_other_content_is_looked_at_again(tmp_path: Path, data: Path) -> None:
    inspections = memory(tmp_path)
    look(inspections, data)
    data.write_text(ROWS * 4, encoding="utf-8")
    assert look(inspections, data) == 4


def test_a_layout_that_the_stage_does_not_want_is_still_refused(tmp_path: Path, data: Path) -> None:
    inspections = memory(tmp_path)
    look(inspections, data)
    with pytest.raises(BadInput, match="layout `messages`"):
        look(inspections, data, STAGE_LAYOUTS["dpo"])
    assert look(inspections, data, STAGE_LAYOUTS["sft"]) == 3
