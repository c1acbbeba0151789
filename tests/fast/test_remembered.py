"""Answers that are told from memory, and found anew in the background."""

import threading

import pytest

from llmops.control import remembered as module
from llmops.control import runs
from llmops.control.remembered import Remembered
from llmops.errors import Failed
from tests.waiting import until


def test_a_slow_first_answer_is_soon_found_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took long because everything was cold: that is no reason to rest."""
    monkeypatch.setattr(module, "REST", 10_000)
    asked: list[int] = []

    def ask() -> int:
        asked.append(len(asked))
        threading.Event().wait(0.01 if len(asked) == 1 else 0)
        return len(asked)

    remembered = Remembered(ask, least=0.01)
    assert remembered.get() == 1
    until(lambda: remembered.get() == 2)


def test_what_may_come_later_holds_nobody_up_and_is_asked_once() -> None:
    asked, answer = [], threading.Event()

    def ask() -> str:
        asked.append(1)
        answer.wait(5)
        return "found"

    remembered = Remembered(ask, least=60)
    assert [remembered.soon("not yet") for _ in range(3)] == ["not yet"] * 3
    answer.set()
    assert remembered.get() == remembered.soon("not yet") == "found"
    assert asked == [1]


def test_what_never_worked_is_said_also_to_who_does_not_wait() -> None:
    def ask() -> str:
        raise Failed("the log is away")

    remembered = Remembered(ask, least=60)

    def told() -> str:
        try:
            return remembered.soon("not yet")
        except Failed as error:
            return error.what

    until(lambda: told() == "the log is away", 2.0)


def test_of_a_list_that_is_read_again_and_again_the_newest_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "REMEMBERED", 3)
    known: dict[str, int] = {}
    for name in "edcba":
        runs._keep(known, name, 1)
    assert sorted(known) == ["c", "d", "e"]
