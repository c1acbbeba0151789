"""Layouts are told by content, and each is refused where it is ambiguous or does not fit."""

from pathlib import Path
from typing import Any

import pytest

from llmops.data.inspect import inspect_data
from llmops.data.layouts import LAYOUTS, STAGE_LAYOUTS
from llmops.engines.contract import DataSet
from llmops.errors import BadInput
from llmops.spec.recipe import DataFile
from tests.conftest import SHARED_DATA
from tests.training_jobs import BAD, GOOD, LAYOUT_ROWS, SYSTEM, USER, write_rows


def look(path: Path, rows: Any, *, wanted: Any = LAYOUTS, **declared: Any) -> DataSet:
    """Inspect `rows`, written to `path`."""
    file = DataFile(path=str(path), **declared)
    return inspect_data(file, write_rows(path, rows), where="sft.yaml:6: data", wanted=wanted)


@pytest.mark.parametrize("name", LAYOUT_ROWS)
def test_layout_is_detected(name: str, tmp_path: Path) -> None:
    stage, file, rows = LAYOUT_ROWS[name]
    found = look(tmp_path / file, rows, wanted=STAGE_LAYOUTS[stage])  # type: ignore[index]
    assert found.layout == name.partition("-")[0]
    assert found.samples == 8


@pytest.mark.parametrize(
    ("name", "layout", "samples"),
    [
        ("c4_demo.jsonl", "text", 300),
        ("alpaca_en_demo.json", "alpaca", 999),
        ("dpo_en_demo.json", "preference", 300),
        ("identity.json", "alpaca", 91),
    ],
)
def test_demo_sets_need_no_conversion(name: str, layout: str, samples: int) -> None:
    path = SHARED_DATA / name
    if not path.is_file():
        pytest.skip("the shared data is not here")
    found = inspect_data(DataFile(path=str(path)), path)
    assert (found.layout, found.samples, found.convert) == (layout, samples, False)


def test_several_layouts_are_ambiguous(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "output": "4", "text": "Add. 4"}
    with pytest.raises(BadInput, match="fit several layouts: `text`, `alpaca`") as caught:
        look(tmp_path / "a.jsonl", row)
    assert "layout: text" in caught.value.fix


def test_stage_decides_between_layouts(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "output": "4", "text": "Add. 4"}
    assert look(tmp_path / "a.jsonl", row, wanted=STAGE_LAYOUTS["sft"]).layout == "alpaca"


def test_declared_layout_decides(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "output": "4", "text": "Add. 4"}
    assert look(tmp_path / "a.jsonl", row, layout="text").layout == "text"


def test_unknown_columns_name_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="`question`, `answer` fit no layout") as caught:
        look(tmp_path / "a.jsonl", {"question": "2+2?", "answer": "4"})
    assert "{instruction: question, output: answer}" in caught.value.fix


def test_declared_columns_are_used(tmp_path: Path) -> None:
    found = look(tmp_path / "a.jsonl", {"body": "One."}, columns={"text": "body"})
    assert (found.layout, found.columns) == ("text", {"text": "body"})


def test_declared_column_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no column `boddy`") as caught:
        look(tmp_path / "a.jsonl", {"body": "One."}, columns={"text": "boddy"})
    assert "`body`" in caught.value.fix


def test_layout_for_another_stage(tmp_path: Path) -> None:
    row = {"prompt": "2+2?", "chosen": "4", "rejected": "5"}
    with pytest.raises(BadInput, match="has the layout `preference`") as caught:
        look(tmp_path / "a.jsonl", row, wanted=STAGE_LAYOUTS["sft"])
    assert "dpo or rm" in caught.value.fix


def test_mixed_layouts_name_the_row(tmp_path: Path) -> None:
    rows = [{"messages": [USER, GOOD]}, {"text": "One."}]
    with pytest.raises(BadInput, match="row 2: the columns `messages` are missing") as caught:
        look(tmp_path / "a.jsonl", rows)
    assert caught.value.where == f"sft.yaml:6: data: {tmp_path / 'a.jsonl'}:2"


def test_answers_written_two_ways_are_mixed(tmp_path: Path) -> None:
    rows = [
        {"prompt": "2+2?", "chosen": "4", "rejected": "5"},
        {"prompt": "2+2?", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
    ]
    with pytest.raises(BadInput, match="row 2: text, where the rows before are conversations"):
        look(tmp_path / "a.jsonl", rows)


def test_a_class_label_is_not_kto(tmp_path: Path) -> None:
    row = {"messages": [USER, GOOD], "label": 3}
    assert look(tmp_path / "a.jsonl", row).layout == "messages"


def test_prompts_are_what_the_engine_asks(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "input": "2 and 2", "output": "4", "system": "Be brief."}
    expected = [SYSTEM, {"role": "user", "content": "Add.\n2 and 2"}]
    assert look(tmp_path / "a.jsonl", row).first_prompts == (expected,) * 4


def test_text_prompt_is_cut_at_a_word(tmp_path: Path) -> None:
    prompt = look(tmp_path / "a.jsonl", {"text": "counting " * 30}).first_prompts[0]
    assert prompt == ("counting " * 6).strip()
