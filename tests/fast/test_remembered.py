"""Answers that are told from memory, and found anew in the background."""

import threading

from llmops.control.remembered import Remembered
from tests.waiting import until


def test_a_slow_first_answer_is_soon_found_anew() -> None:
    """It took long because everything was cold: that is no reason to rest."""
    asked: list[int] = []

    def ask() -> int:
        asked.append(len(asked))
        threading.Event().wait(0.4 if len(asked) == 1 else 0)
        return len(asked)

    remembered = Remembered(ask, least=0.01)
    assert remembered.get() == 1
    until(lambda: remembered.get() == 2, 2.0)
