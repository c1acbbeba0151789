"""Measuring by suites, with a server on loopback that says what the test wants."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import BadInput, Failed
from llmops.evaluation.items import Asked, read_suite
from llmops.evaluation.judge import key_of, verdict
from llmops.evaluation.measure import Measured, Session, Subject, perplexity_of
from llmops.serving.endpoint import Endpoint
from llmops.spec.evaluation import Sampling
from llmops.spec.suite import JudgeCheck
from llmops.store.paths import ProjectPaths
from tests.fast.talking_server import Answering, Talker, talking

SUITE = """\
name: trees
items: items.jsonl
metrics:
  correct: {contains: "{answer}"}
"""


def suite(root: Path, metrics: str = "", number: int = 8) -> Asked:
    rows = [{"id": n, "prompt": f"Tree {n}?", "answer": f"oak{n}"} for n in range(number)]
    (root / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (root / "trees.yaml").write_text(SUITE + metrics)
    return read_suite(root / "trees.yaml", root)


def subjects(endpoint: Endpoint, **changes: str) -> Iterator[Subject]:
    """new:v2 and old:v1 at one server."""
    for name, digest in (("new:v2", "22"), ("old:v1", "11")):
        known: dict[str, Any] = {"digest": digest, "base_digest": None, **changes}
        yield Subject(name, answering=Answering(endpoint, name), **known)


@contextmanager
def session(
    root: Path, talker: Talker, *, alone: bool = False, **changes: Any
) -> Iterator[Session]:
    """`new:v2` against `old:v1`, both answered by `talker`."""
    with talking(talker) as endpoint:
        version, baseline = subjects(endpoint, **changes.pop("subjects", {}))
        yield Session(
            version,
            None if alone else baseline,
            changes.get("sampling", Sampling()),
            0.95,
            ProjectPaths(root),
            lambda what, done, total: None,
            pauses=(0, 0),
        )


def right(model: str, prompt: str) -> str:
    """new:v2 knows every tree, old:v1 the even ones."""
    number = int(prompt.removeprefix("Tree ").removesuffix("?"))
    return f"The oak{number}." if model == "new:v2" or number % 2 == 0 else "An elm."


def measured(root: Path, talker: Talker, metrics: str = "", **options: Any) -> list[Measured]:
    asked = suite(root, metrics)
    with session(root, talker, **options) as found:
        return list(found.measure(asked).measured)


def test_rates_and_their_difference(tmp_path: Path) -> None:
    (correct,) = measured(tmp_path, Talker(right))
    assert correct.version.estimate == 1
    assert correct.baseline is not None
    assert correct.difference is not None
    assert (correct.baseline.estimate, correct.difference.estimate) == (0.5, 0.5)
    assert correct.values[:2] == ((1, 1), (1, 0))


def test_without_a_baseline_there_is_no_difference(tmp_path: Path) -> None:
    (correct,) = measured(tmp_path, Talker(right), alone=True)
    assert (correct.baseline, correct.difference) == (None, None)


def test_other_checks_need_no_new_answers(tmp_path: Path) -> None:
    measured(tmp_path, Talker(right))
    silent = Talker(right, lives=0)
    _, terse = measured(tmp_path, silent, "  terse: {max_words: 2}\n")
    assert (terse.version.estimate, silent.asked) == (1, [])


@pytest.mark.parametrize("changes", [{"max_tokens": 3}, {"temperature": 0.5}, {"seed": 1}])
def test_another_way_of_asking_asks_again(tmp_path: Path, changes: dict[str, Any]) -> None:
    measured(tmp_path, Talker(right))
    talker = Talker(right)
    measured(tmp_path, talker, sampling=Sampling(**changes))
    assert len(talker.asked) == 16
    assert ("seed" in talker.asked[0]) is ("temperature" in changes)


@pytest.mark.parametrize("what", ["digest", "base_digest", "served_with"])
def test_another_version_base_or_server_is_asked_anew(tmp_path: Path, what: str) -> None:
    measured(tmp_path, Talker(right))
    talker = Talker(right)
    measured(tmp_path, talker, subjects={what: "another"})
    assert len(talker.asked) == 16


def test_a_server_that_dies_midway_costs_only_what_it_did_not_say(tmp_path: Path) -> None:
    asked = suite(tmp_path, number=60)
    why = pytest.raises(Failed, match=r"item `\d+` of trees, by new:v2, was not answered")
    with session(tmp_path, Talker(right, lives=40), alone=True) as found, why as no:
        found.measure(asked)
    assert "40 of 60 answers are kept" in no.value.fix
    again = Talker(right)
    with session(tmp_path, again, alone=True) as found:
        assert found.measure(asked).measured[0].version.estimate == 1
    assert len(again.asked) == 20


def test_an_answer_that_fails_once_is_asked_again(tmp_path: Path) -> None:
    talker = Talker(right, fails={"Tree 3?": 1})
    assert measured(tmp_path, talker, alone=True)[0].version.estimate == 1
    assert len(talker.asked) == 9


def test_an_answer_at_the_limit_is_not_finished(tmp_path: Path) -> None:
    long = Talker(lambda model, prompt: "one two three")
    (_, whole) = measured(
        tmp_path, long, "  whole: {finished: true}\n", sampling=Sampling(max_tokens=3)
    )
    assert whole.version.estimate == 0


def judged(root: Path, say: Any) -> tuple[Measured, Talker]:
    judge = Talker(say)
    with talking(judge) as endpoint:
        metric = f"  preferred: {{judge: {{url: '{endpoint.url}/v1', model: j}}}}\n"
        found = measured(root, Talker(right), metric)[1]
    return found, judge


def test_a_judge_that_looks_at_the_answers(tmp_path: Path) -> None:
    """It prefers the one with an oak, wherever it stands; equal answers are not shown to it."""

    def say(model: str, shown: str) -> str:
        first, second = shown.partition("Answer A:")[2].split("Answer B:")
        return "tie" if ("oak" in first) == ("oak" in second) else "A" if "oak" in first else "B"

    found, judge = judged(tmp_path, say)
    assert found.difference is not None
    assert (found.version.estimate, found.difference.estimate) == (0.5, 0.5)
    assert len(judge.asked) == 8


def test_a_judge_may_prefer_the_baseline(tmp_path: Path) -> None:
    found, _ = judged(tmp_path, lambda model, shown: "B" if "oak" in shown.split("B:")[0] else "A")
    assert found.difference is not None
    assert (found.version.estimate, found.difference.estimate) == (0, -0.5)


@pytest.mark.parametrize(("said", "notes"), [("A", 0), ("B", 0), ("Both are fine!", 1)])
def test_a_judge_that_looks_at_the_place_finds_ties(tmp_path: Path, said: str, notes: int) -> None:
    found, _ = judged(tmp_path, lambda model, shown: said)
    assert found.difference is not None
    assert (found.version.estimate, found.difference.estimate) == (0, 0)
    assert len(found.notes) == notes


@pytest.mark.parametrize(
    ("reply", "side"),
    [
        ("A", "first"),
        ("B.", "second"),
        ("Tie", "tie"),
        ("It is a tie between A and B", "tie"),
        ("Both say the same.\nVerdict: **B**", "second"),
        ("A or B", "unclear"),
        ("a", "unclear"),
        ("", "unclear"),
    ],
)
def test_verdicts(reply: str, side: str) -> None:
    assert verdict(reply) == side


def test_a_judge_without_its_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    judge = JudgeCheck(url="http://judge", model="j", key_env="JUDGE_KEY")
    with pytest.raises(BadInput, match="`JUDGE_KEY` is not set"):
        key_of(judge, "suite.yaml:3")


TEXTS = '  likely: {perplexity: "the {answer} stands in the square"}\n'


def test_perplexity_is_of_all_the_tokens(tmp_path: Path) -> None:
    each = {"new:v2": "-0.5", "old:v1": "-0.7"}
    talker = Talker(lambda model, prompt: each.get(model, "x") if "the oak" in prompt else "x")
    _, likely = measured(tmp_path, talker, TEXTS)
    assert perplexity_of(likely.version.estimate) == pytest.approx(math.exp(0.5))
    assert likely.difference is not None
    assert likely.difference.estimate == pytest.approx(-0.2)
    assert (likely.version.items, talker.asked[-1]["prompt_logprobs"]) == (8, 0)


def test_perplexities_of_other_tokens_are_not_compared(tmp_path: Path) -> None:
    class Split(Talker):
        def likelihoods(self, body: dict[str, Any]) -> list[dict[str, Any] | None]:
            rows = super().likelihoods(body)
            return rows * 2 if body["model"] == "old:v1" else rows

    with pytest.raises(Failed, match="split the texts into other tokens"):
        measured(tmp_path, Split(lambda model, prompt: "-1"), TEXTS)


def test_a_server_without_log_probabilities_has_no_perplexity(tmp_path: Path) -> None:
    class Plain(Talker):
        def likelihoods(self, body: dict[str, Any]) -> list[dict[str, Any] | None]:
            return []

    with pytest.raises(Failed, match="prompt_logprobs"):
        measured(tmp_path, Plain(right), TEXTS, alone=True)
