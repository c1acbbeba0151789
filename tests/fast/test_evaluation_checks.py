"""Checks of an answer, each by a table."""

from typing import Any

import pytest

from llmops.evaluation.checks import Outcome, numbers, outcome
from llmops.evaluation.fields import MissingField
from llmops.spec.suite import Metric

ITEM = {
    "answer": "oak",
    "others": ["elm", "birch"],
    "none": [],
    "city": "São Paulo",
    "number": 1234.5,
    "odd": "a.c",
    "blank": "",
}


@pytest.mark.parametrize(
    ("metric", "answer", "holds"),
    [
        ({"exact": "{answer}"}, "  oak\n", True),
        ({"exact": "{answer}"}, "Oak", False),
        ({"exact": "{others}"}, "birch", True),
        ({"exact": ["yes", "{answer}"]}, "yes", True),
        ({"exact": {"text": "{answer}", "ignore": ["case", "punctuation"]}}, "OAK.", True),
        ({"exact": {"text": "the {answer}", "ignore": ["articles"]}}, "oak", True),
        ({"exact": {"text": "{city}", "ignore": ["accents", "case"]}}, "sao paulo", True),
        ({"exact": {"text": "an oak", "ignore": ["space"]}}, "an   oak", True),
        ({"contains": "{answer}"}, "The oak.", True),
        ({"contains": "{answer}"}, "The oaks.", False),
        ({"contains": "{answer}"}, "The Oak.", False),
        ({"contains": {"all": "{answer}", "case": False}}, "The Oak.", True),
        ({"contains": {"any": "{answer}", "words": False}}, "The oaks.", True),
        ({"contains": "{others}"}, "elm", False),
        ({"contains": "{others}"}, "birch and elm", True),
        ({"contains": {"any": "{others}"}}, "elm", True),
        ({"contains": "C++"}, "I use C++.", True),
        ({"not_contains": "{others}"}, "an elm", False),
        ({"not_contains": "{others}"}, "an oak", True),
        ({"not_contains": "{none}"}, "an oak", True),
        ({"not_contains": {"all": "{others}"}}, "an elm", True),
        ({"regex": r"^\w{3}$"}, "oak", True),
        ({"regex": r"^\w{3}$"}, "oaks", False),
        ({"regex": "^{odd}$"}, "abc", False),
        ({"regex": "^{odd}$"}, "a.c", True),
        ({"not_regex": "(?i)sorry"}, "Sorry!", False),
        ({"numeric": "{number}"}, "It is 1,234.5 m.", True),
        ({"numeric": 10}, "between 3 and 10", True),
        ({"numeric": {"value": 10, "take": "first"}}, "between 3 and 10", False),
        ({"numeric": {"value": 10, "take": "only"}}, "between 3 and 10", False),
        ({"numeric": {"value": 3, "take": "any"}}, "between 3 and 10", True),
        ({"numeric": {"value": 10, "tolerance": 0.5}}, "10.5", True),
        ({"numeric": {"value": 10, "relative": 0.01}}, "10.2", False),
        ({"numeric": 10}, "ten", False),
        ({"is_json": True}, '{"a": 1}', True),
        ({"is_json": True}, "{a: 1}", False),
        ({"json_schema": {"type": "object", "required": ["a"]}}, '{"a": 1}', True),
        ({"json_schema": {"type": "object", "required": ["a"]}}, "{}", False),
        ({"json_schema": {"type": "object"}}, "no JSON", False),
        ({"max_words": 2}, "an oak", True),
        ({"max_words": 1}, "an oak", False),
        ({"min_words": 1}, "", False),
        ({"max_chars": 3}, " oak ", True),
        ({"min_chars": 4}, "oak", False),
        ({"max_lines": 1}, "a\nb", False),
        ({"starts_with": ["An ", "The "]}, "The oak", True),
        ({"ends_with": "."}, "The oak", False),
        ({"no_markdown": True}, "2 * 3 = 6, see a_b_c", True),
        ({"no_markdown": True}, "- one\n- two", False),
        ({"no_markdown": True}, "so **bold**", False),
        ({"no_markdown": True}, "`code`", False),
        ({"contains": "{answer}", "max_words": 1}, "oak", True),
        ({"contains": "{answer}", "max_words": 1}, "an oak", False),
    ],
)
def test_a_check_holds_or_not(metric: dict[str, Any], answer: str, holds: bool) -> None:
    assert outcome(Metric(**metric), Outcome(answer, finished=True), ITEM) is holds


def test_an_answer_that_was_cut_off_is_not_finished() -> None:
    assert not outcome(Metric(finished=True), Outcome("oak", finished=False), ITEM)


@pytest.mark.parametrize("text", ["{absent}", "see {absent}"])
def test_a_field_that_is_not_there_is_no_empty_text(text: str) -> None:
    with pytest.raises(MissingField, match="absent"):
        outcome(Metric(contains=text), Outcome("oak", finished=True), ITEM)


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ({"contains": "{blank}"}, "every answer"),
        ({"contains": "{none}"}, "nothing to look for"),
        ({"regex": "("}, "not a regular expression"),
        ({"numeric": "{answer}"}, "`oak` is not a number"),
    ],
)
def test_a_check_that_says_nothing_is_refused(metric: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        outcome(Metric(**metric), Outcome("x", finished=True), ITEM)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,234.5 and -3, 2e4 .5", [1234.5, -3, 2e4, 0.5]),
        ("x1 v2.3.4", []),
        ("pages 3-4, 10%, $5.", [3, 4, 10, 5]),
        ("+-", []),
    ],
)
def test_numbers_in_a_text(text: str, found: list[float]) -> None:
    assert numbers(text) == found
