"""Every row is checked, and the first bad one is refused with its place."""

import json
from pathlib import Path
from typing import Any

import polars
import pytest

from llmops.data.convert import converted_lines, write_converted
from llmops.data.inspect import inspect_data
from llmops.data.layouts import LAYOUTS
from llmops.engines.contract import DataSet
from llmops.errors import BadInput, Failed
from llmops.spec.recipe import DataFile
from tests.training_jobs import BAD, GOOD, GPT, HUMAN, SYSTEM, USER, write_rows

PAIR = {"prompt": "2+2?", "chosen": "4", "rejected": "5"}


def look(path: Path, rows: Any, **declared: Any) -> DataSet:
    file = DataFile(path=str(path), **declared)
    return inspect_data(file, write_rows(path, rows), wanted=LAYOUTS)


def converted(data: DataSet) -> list[Any]:
    """The rows that the engine gets of a data set that it would misread."""
    assert data.convert
    return [json.loads(line) for line in converted_lines(data)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": 5}, "`text` is the number 5"),
        ({"text": None}, "`text` is missing"),
        ({"messages": "hello"}, "`messages` is text"),
        ({"messages": []}, "`messages` is empty"),
        ({"messages": [USER]}, "ends in a `user` turn"),
        ({"messages": [USER, USER, GOOD]}, "turn 2 is from `user`"),
        ({"messages": [GOOD, GOOD]}, "turn 1 is from `assistant`, where `user`"),
        ({"messages": [USER, SYSTEM, GOOD]}, "turn 2 is from `system`"),
        ({"messages": [USER, {"role": "bot", "content": "4"}]}, "unknown role 'bot'"),
        ({"messages": [USER, {"role": "assistant"}]}, "turn 2 has the keys `role`"),
        ({"messages": [USER, {**GOOD, "content": None}]}, "`content` is missing"),
        ({"conversations": [HUMAN, {"from": "gpt", "value": 4}]}, "`value` is the number 4"),
        ({"instruction": "Add.", "output": None}, "`output` is missing"),
        ({"instruction": "", "output": "4"}, "`instruction` is empty"),
        ({"instruction": "A", "output": "4", "history": [["q"]]}, "`history` is malformed"),
        ({**PAIR, "chosen": 4}, "`chosen` is the number 4"),
        ({"chosen": "4", "rejected": "5"}, "there is no prompt"),
        ({"messages": [USER, GOOD], "chosen": "4", "rejected": "5"}, "ends in a `assistant` turn"),
        ({"messages": [USER], "chosen": USER, "rejected": BAD}, "`chosen` is from `user`"),
        ({"chosen": [USER, GOOD], "rejected": [SYSTEM, USER, BAD]}, "differ before their last"),
        ({"prompt": "2+2?", "completion": "", "label": True}, "the answer is empty"),
    ],
)
def test_bad_row(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="row 1: ") as caught:
        look(tmp_path / "a.jsonl", row)
    assert message in caught.value.what


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"text": "One."}\n{"text": \n', "row 2: not valid JSON: Expecting value"),
        ("a.jsonl", '{"text": "One."}\n[1]\n', "row 2: a row is a list"),
        ("a.json", '[{"text": "One."},]', "not valid JSON"),
        ("a.json", '{\n"a": 1\n}', "an object without one list of rows"),
        ("a.csv", "text,b\nOne.\n", "row 1: 1 cells, where the first line names 2"),
        ("a.csv", "text,b,text\nOne.,2,3\n", "the column `text` is named twice"),
        (
            "a.jsonl",
            '{"text": "cut \\ud83d"}\n',
            r"row 1: not valid JSON: half of a character, \ud83d",
        ),
        (
            "a.json",
            '[{"text": ["\\uDE00"]}]',
            r"row 1: not valid JSON: half of a character, \ude00",
        ),
        ("a.jsonl", '{"messages": ' + "[" * 100_000, "nested too deep"),
        ("a.parquet", "text", "not a Parquet file"),
        ("a.jsonl", "", "there are no rows"),
        ("a.json", "[]", "there are no rows"),
        ("a.csv", "text\n", "there are no rows"),
        ("a.txt", "\n\n", "every row is empty"),
        ("a.xlsx", "text", "`.xlsx` is not a data format"),
        ("a.json", "[" * 100_000, "not valid JSON: it is nested too deep"),
        ("a.jsonl", "3\n", "row 1: a row is the number 3"),
        (
            "a.jsonl",
            '{"prompt": "a", "completion": "b", "label": "good"}\n',
            "row 1: `label` is text",
        ),
    ],
)
def test_bad_file(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        look(tmp_path / name, text)
    assert message in caught.value.what


def test_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "One."}\n{"text": "caf\xe9"}\n')
    with pytest.raises(BadInput, match="row 2: not UTF-8") as caught:
        inspect_data(DataFile(path=str(path)), path)
    assert caught.value.where.endswith("a.jsonl:2")


def test_empty_answers_everywhere(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="every row is empty"):
        look(tmp_path / "a.jsonl", {"instruction": "Add.", "output": " "})


def test_same_answers_are_counted(tmp_path: Path) -> None:
    rows = [PAIR, {**PAIR, "rejected": "4"}]
    assert look(tmp_path / "a.jsonl", rows).same_answers == 1


def test_limit_beyond_the_rows_is_the_rows(tmp_path: Path) -> None:
    found = look(tmp_path / "a.jsonl", {"text": "One."}, limit=9)
    assert (found.samples, found.limit) == (8, None)


def test_parquet_is_read(tmp_path: Path) -> None:
    polars.DataFrame({"messages": [[USER, GOOD]] * 3}).write_parquet(tmp_path / "a.parquet")
    file = DataFile(path="a.parquet")
    found = inspect_data(file, tmp_path / "a.parquet")
    assert (found.layout, found.samples, found.convert) == ("messages", 3, False)


def test_object_around_the_rows_is_converted(tmp_path: Path) -> None:
    found = look(tmp_path / "a.json", '{"version": "1", "data": [{"text": "One."}]}')
    assert converted(found) == [{"text": "One."}]


def test_one_row_with_a_list_is_a_row(tmp_path: Path) -> None:
    found = look(tmp_path / "a.jsonl", [{"messages": [USER, GOOD]}])
    assert (found.samples, found.convert) == (1, False)


def test_csv_numbers_stay_text(tmp_path: Path) -> None:
    found = look(tmp_path / "a.csv", 'instruction,output\n1 + 1 =,2\n"a, b",NA\n')
    assert [row["output"] for row in converted(found)] == ["2", "NA"]


def test_blank_lines_of_text_are_left_out(tmp_path: Path) -> None:
    found = look(tmp_path / "a.txt", "One.\n\nTwo.\n")
    assert (found.samples, converted(found)) == (2, [{"text": "One."}, {"text": "Two."}])


def test_other_role_names_are_converted(tmp_path: Path) -> None:
    turns = [{"from": "user", "value": "Hi"}, {"from": "assistant", "value": "Hello"}]
    found = look(tmp_path / "a.jsonl", [{"conversations": turns}])
    expected = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    assert converted(found) == [{"conversations": expected}]


def test_text_answers_to_a_conversation_are_converted(tmp_path: Path) -> None:
    row = {"conversations": [HUMAN], "chosen": "4", "rejected": "5"}
    found = look(tmp_path / "a.jsonl", [row])
    assert converted(found)[0]["chosen"] == GPT


def test_lists_of_messages_share_their_prompt(tmp_path: Path) -> None:
    row = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}
    found = look(tmp_path / "a.jsonl", [row])
    assert converted(found) == [{"messages": [USER], "chosen": GOOD, "rejected": BAD}]


def test_column_that_changes_type_is_converted(tmp_path: Path) -> None:
    """The engine's loader stops at such a file, though the column is not used."""
    found = look(tmp_path / "a.jsonl", [{"text": "One.", "id": 1}, {"text": "Two.", "id": "b"}])
    assert converted(found) == [{"text": "One."}, {"text": "Two."}]


def test_optional_column_may_be_absent_in_some_rows(tmp_path: Path) -> None:
    rows = [{"instruction": "A", "output": "1"}, {"instruction": "A", "input": "b", "output": "1"}]
    found = look(tmp_path / "a.jsonl", rows)
    assert (found.columns["input"], found.convert) == ("input", False)


def test_data_that_changed_while_it_was_copied_is_told(tmp_path: Path) -> None:
    data = look(tmp_path / "a.csv", "instruction,output\nAdd.,2\n")
    write_rows(tmp_path / "a.csv", 'instruction,output\n"Add.,2\n')
    with pytest.raises(Failed, match="changed while it was read: not valid CSV"):
        write_converted(data, tmp_path / "copy.jsonl")
    assert not (tmp_path / "copy.jsonl").exists()


def test_characters_in_two_halves_are_whole(tmp_path: Path) -> None:
    found = look(tmp_path / "a.jsonl", '{"text": "well done \\ud83c\\udf89"}\n')
    assert (found.samples, found.convert) == (1, False)


def test_a_cell_may_be_as_long_as_a_book(tmp_path: Path) -> None:
    found = look(tmp_path / "a.csv", "text,b\n" + "a word " * 50_000 + ",1\n")
    assert (found.layout, found.samples) == ("text", 1)
