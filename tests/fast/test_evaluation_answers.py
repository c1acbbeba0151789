"""Asking at most once: what is kept, asked again, and given up."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import Failed
from llmops.evaluation.answers import Kept, Unanswerable, Value, collect


class Asked:
    """Questions by name, and how often each was asked; `fails`: so many failures first."""

    def __init__(self, **fails: int) -> None:
        self.fails = fails
        self.count = dict.fromkeys(fails, 0)

    def ask(self, name: str) -> Value:
        self.count[name] += 1
        if self.count[name] <= self.fails[name]:
            raise Failed("no answer", where="there", fix="look")
        return {"text": name.upper()}

    def collect(self, path: Path, **options: Any) -> dict[str, Value]:
        return collect(
            {name: lambda name=name: self.ask(name) for name in self.fails},  # type: ignore[misc]
            Kept(path),
            name=lambda key: f"question {key}",
            report=options.pop("report", lambda done, total: None),
            pauses=(0, 0),
            **options,
        )


def test_what_is_answered_is_not_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    first, second = Asked(a=0, b=0), Asked(a=0, b=0, c=0)
    first.collect(file)
    assert second.collect(file)["a"] == {"text": "A"}
    assert second.count == {"a": 0, "b": 0, "c": 1}


def test_a_failure_is_asked_again_twice(tmp_path: Path) -> None:
    asked = Asked(a=2)
    assert asked.collect(tmp_path / "kept.jsonl") == {"a": {"text": "A"}}
    assert asked.count == {"a": 3}


def test_a_question_without_answer_ends_it_and_the_rest_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    with pytest.raises(Failed, match="question bad was not answered: no answer") as caught:
        Asked(a=0, b=0, bad=9).collect(file, concurrency=1)
    assert "look\n  2 of 3 answers are kept; the same command goes on" in caught.value.fix
    assert set(Kept(file).values) == {"a", "b"}


def test_answers_that_come_after_a_failure_are_kept(tmp_path: Path) -> None:
    began, failed = threading.Event(), threading.Event()

    def fail() -> Value:
        began.wait(5)
        failed.set()
        raise Unanswerable("no")

    def slow() -> Value:
        began.set()
        failed.wait(5)
        time.sleep(0.1)  # until the failure was seen
        return {"text": "late"}

    kept = Kept(tmp_path / "k")
    with pytest.raises(Failed, match="no") as caught:
        collect({"bad": fail, "slow": slow}, kept, name=str, report=lambda done, total: None)
    assert "1 of 2 answers" in caught.value.fix
    assert Kept(tmp_path / "k").values == {"slow": {"text": "late"}}


def test_what_cannot_be_answered_is_asked_once(tmp_path: Path) -> None:
    count = []

    def never() -> Value:
        count.append(1)
        raise Unanswerable("not in this protocol")

    with pytest.raises(Failed, match="not in this protocol"):
        collect({"a": never}, Kept(tmp_path / "k"), name=str, report=lambda done, total: None)
    assert len(count) == 1


def test_progress_counts_what_was_kept(tmp_path: Path) -> None:
    file, told = tmp_path / "kept.jsonl", []
    Asked(a=0).collect(file)
    Asked(a=0, b=0).collect(file, report=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_line_that_was_cut_off_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    Asked(a=0, b=0).collect(file, concurrency=1)
    file.write_bytes(file.read_bytes()[:-4])
    again = Asked(a=0, b=0)
    again.collect(file)
    assert again.count == {"a": 0, "b": 1}
    assert set(Kept(file).values) == {"a", "b"}
