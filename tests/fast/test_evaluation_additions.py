"""A bad answer of the log, made a test item."""

import json
from pathlib import Path

import pytest

from llmops.cli.eval import add
from llmops.errors import BadInput
from llmops.evaluation.additions import bad_answer, fields_of
from llmops.evaluation.items import read_suite
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.logged import answer, event, write

SUITE = 'name: rivers\nitems: items.jsonl\nmetrics: {correct: {contains: "{answer}"}}\n'
ID = f"{3:040d}"


@pytest.fixture
def suite(project: Path) -> Path:
    """A suite of one item, whose file lacks its last line's end, and a log of five answers."""
    (project / "rivers.yaml").write_text(SUITE)
    (project / "items.jsonl").write_text('{"id": 1, "prompt": "Which?", "answer": "Ebb"}')
    edit = event(3, kind="edit", value=None, text="The Wend.")
    other = event(4, kind="edit", value=None, text="The Sill.", other=ID)
    write(ProjectPaths(project), [*(answer(n) for n in range(5)), event(2), edit, other])
    return project / "rivers.yaml"


def test_an_edit_says_what_is_right(suite: Path, llmops: Llmops) -> None:
    done = llmops("eval", "add", f"chatcmpl-{ID}", "rivers.yaml")
    assert (done.returncode, done.stdout) == (0, "items.jsonl: feedback-000000000003\n")
    item = read_suite(suite, suite.parent).items[1]
    assert item.fields["answer"] == "The Wend."
    assert item.messages[0]["content"] == "Question 3: which river?"
    assert item.fields["inference"] == ID


def test_without_one_the_user_is_asked(suite: Path) -> None:
    with pytest.raises(BadInput, match="metric `correct` needs the field `answer`") as caught:
        add(f"{2:040d}", Path("rivers.yaml"))
    assert "--set FIELD=VALUE" in caught.value.fix
    add(f"{2:040d}", Path("rivers.yaml"), ["answer=Sill"])
    assert read_suite(suite, suite.parent).items[1].fields["answer"] == "Sill"


def test_an_answer_is_added_once(suite: Path) -> None:
    add(ID, suite)
    with pytest.raises(BadInput, match="has the item `feedback-000000000003` already") as caught:
        add(ID, suite)
    assert caught.value.where == "items.jsonl:2"


def test_an_unknown_answer_is_no_item(suite: Path) -> None:
    with pytest.raises(BadInput, match="`nothing` in the log"):
        add("nothing", suite)


def test_a_suite_that_holds_its_items_is_left_alone(suite: Path) -> None:
    text = SUITE.replace("items.jsonl", "[{id: 1, prompt: Which?, answer: Ebb}]")
    suite.write_text(text)
    with pytest.raises(BadInput, match="holds its items itself") as caught:
        add(ID, suite)
    assert (caught.value.where, suite.read_text()) == ("rivers.yaml:2: items", text)


def test_erased_texts_make_no_item() -> None:
    logged = {"id": ID, "inference": {"messages": None}, "events": []}
    with pytest.raises(BadInput, match="were erased"):
        bad_answer(logged, {})


def test_a_chat_stays_a_chat() -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    row = bad_answer({"id": ID, "inference": {"messages": turns}, "events": []}, {"answer": "Hm"})
    assert json.loads(json.dumps(row))["messages"] == turns


def test_fields_are_typed_as_in_a_file() -> None:
    assert fields_of(["answer=Wend", "others=[a, b]", "n=3"]) == {
        "answer": "Wend",
        "others": ["a", "b"],
        "n": 3,
    }
    with pytest.raises(BadInput, match="sets no field"):
        fields_of(["answer"])
