"""Suites and their items: what is read, and what is refused, with its place."""

import json
from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.evaluation.items import Asked, read_suite
from tests.conftest import ROOT

SUITE = """\
name: trees
items: items.jsonl
metrics:
  correct:
    contains: "{answer}"
"""
OAK = {"id": "oak", "prompt": "Which tree?", "answer": "oak"}


def suite(folder: Path, *rows: object, text: str = SUITE) -> Asked:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "items.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "trees.yaml").write_text(text, encoding="utf-8")
    return read_suite(folder / "trees.yaml", folder)


def test_items_of_a_file(tmp_path: Path) -> None:
    asked = suite(tmp_path, OAK, OAK | {"id": 2, "source": "wood"}, "")
    assert [item.id for item in asked.items] == ["oak", "2"]
    assert asked.sources == ["oak", "wood"]
    assert asked.items[0].messages == ({"role": "user", "content": "Which tree?"},)


def test_items_in_the_suite(tmp_path: Path) -> None:
    text = SUITE.replace("items.jsonl", "[{id: a, prompt: Which?, answer: elm}]")
    assert suite(tmp_path, text=text).items[0].fields["answer"] == "elm"


def test_a_prompt_made_of_fields(tmp_path: Path) -> None:
    text = 'prompt: "Name a tree like the {answer}."\n' + SUITE
    made = suite(tmp_path, {"id": 1, "answer": "elm"}, text=text).items[0].messages
    assert made[0]["content"] == "Name a tree like the elm."


def test_a_chat_ends_with_the_user(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    row = {"id": 1, "answer": "oak", "messages": [*chat, {"role": "user", "content": "Tree?"}]}
    assert len(suite(tmp_path, row).items[0].messages) == 3
    with pytest.raises(BadInput, match="last by the user"):
        suite(tmp_path, row | {"messages": chat})


def test_a_schema_in_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "tree.json").write_text('{"type": "object"}')
    text = SUITE.replace('contains: "{answer}"', "json_schema: tree.json")
    metric = suite(tmp_path, OAK, text=text).suite.metrics["correct"]
    assert metric.json_schema == {"type": "object"}


def test_the_digest_covers_items_and_metrics_and_not_the_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = suite(tmp_path / "a", OAK)
    assert suite(tmp_path / "b", OAK).digest == first.digest
    assert suite(tmp_path / "b", OAK | {"answer": "elm"}).digest != first.digest
    changed = SUITE.replace("contains", "exact")
    assert suite(tmp_path / "b", OAK, text=changed).digest != first.digest


@pytest.mark.parametrize(
    ("rows", "place", "why"),
    [
        ([OAK, OAK], "items.jsonl:2", "the id `oak` is taken"),
        ([OAK, "{"], "items.jsonl:2", "not JSON"),
        (["[1]"], "items.jsonl:1", "expected an object"),
        ([{"prompt": "Which?", "answer": "oak"}], "items.jsonl:1", "no `id`"),
        ([{"id": 1, "answer": "oak"}], "items.jsonl:1", "no `prompt`"),
        ([{"id": 1, "prompt": "  ", "answer": "oak"}], "items.jsonl:1", "no `prompt`"),
        ([OAK, {"id": 2, "prompt": "Which?"}], "items.jsonl:2", "needs the field `answer`"),
        ([OAK | {"answer": ""}], "items.jsonl:1", "in every answer"),
        ([OAK | {"source": ["a"]}], "items.jsonl:1", "`source` must be"),
        ([OAK | {"prompt": 3, "messages": "x"}], "items.jsonl:1", "`messages` must be"),
        ([], "items.jsonl", "has no items"),
    ],
)
def test_bad_items_are_refused_with_their_line(
    tmp_path: Path, rows: list[object], place: str, why: str
) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        suite(tmp_path, *rows)
    assert caught.value.where.endswith(place)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (SUITE.replace("contains", "contain"), 5, "unknown key `contain`"),
        (SUITE.replace("items.jsonl", "absent.jsonl"), 2, "no such file: absent.jsonl"),
        (SUITE.replace('contains: "{answer}"', "no_markdown: false"), 4, "needs a check"),
        (SUITE.replace('contains: "{answer}"', "json_schema: {type: 3}"), 5, "not a JSON Schema"),
        (SUITE.replace('contains: "{answer}"', "json_schema: no.json"), 5, "no such file"),
        (SUITE.replace('"{answer}"', "{any: a, all: b}"), 5, "either `any` or `all`"),
        (SUITE + '    perplexity: "{answer}"\n', 4, "`perplexity` stands alone"),
        (SUITE.replace("items.jsonl", "[]"), 2, "items: expected 1 or more"),
        (SUITE.replace("name: trees\n", ""), 0, "`name` is missing"),
    ],
)
def test_bad_suites_are_refused_with_their_line(
    tmp_path: Path, text: str, line: int, why: str
) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        suite(tmp_path, OAK, text=text)
    assert f"trees.yaml{f':{line}' if line else ''}" in caught.value.where


def test_the_towns_suite_is_whole() -> None:
    asked = read_suite(ROOT / "suites" / "town.yaml", ROOT)
    assert len(asked.items) == 288
    assert len(set(asked.sources)) == 72
