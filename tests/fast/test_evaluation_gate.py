"""Requirements: met by intervals, not by estimates."""

from typing import Any

import pytest

from llmops.evaluation.gate import judged
from llmops.evaluation.measure import Measured
from llmops.evaluation.statistics import Interval
from llmops.spec.evaluation import Requirement


def interval(estimate: float, low: float, high: float) -> Interval:
    return Interval(estimate, low, high, 100, 100, 100.0, "given")


def verdict(found: Measured, **bound: float) -> tuple[bool, str]:
    asks = Requirement(suite="town", metric="correct", **bound)
    (one,) = judged([asks], [found], 0.95)
    return one.passed, one.words


def measured(kind: str, change: tuple[float, float, float]) -> Measured:
    """A rate of 90% (85% to 94%), or a likelihood, that differs so from the baseline's."""
    ours, theirs = interval(0.9, 0.85, 0.94), interval(0.9 - change[0], 0.8, 0.9)
    return Measured("town", "correct", kind, ours, theirs, interval(*change), ())


@pytest.mark.parametrize(
    ("bound", "change", "passed"),
    [
        ({"at_least": 0.85}, (0, 0, 0), True),
        ({"at_least": 0.86}, (0, 0, 0), False),
        ({"not_worse_by": 0.05}, (0.0, -0.049, 0.05), True),
        ({"not_worse_by": 0.05}, (0.0, -0.05, 0.05), False),
        ({"better_by": 0}, (0.1, 0.001, 0.2), True),
        ({"better_by": 0}, (0.1, 0.0, 0.2), False),
        ({"better_by": 0.05}, (0.1, 0.05, 0.2), True),
        ({"better_by": 0.05}, (0.1, 0.04, 0.2), False),
    ],
)
def test_a_rate_is_judged_by_its_lower_end(
    bound: dict[str, Any], change: tuple[float, float, float], passed: bool
) -> None:
    assert verdict(measured("checks", change), **bound)[0] is passed


@pytest.mark.parametrize(
    ("bound", "change", "passed"),
    [
        ({"not_worse_by": 0.05}, (0.0, -0.1, 0.048), True),
        ({"not_worse_by": 0.05}, (0.0, -0.1, 0.049), False),
        ({"better_by": 0}, (-0.1, -0.2, -0.01), True),
        ({"better_by": 0}, (-0.1, -0.2, 0.0), False),
        ({"better_by": 0.1}, (-0.2, -0.3, -0.106), True),
        ({"better_by": 0.1}, (-0.2, -0.3, -0.105), False),
    ],
)
def test_a_perplexity_is_judged_by_its_relative_change(
    bound: dict[str, Any], change: tuple[float, float, float], passed: bool
) -> None:
    assert verdict(measured("perplexity", change), **bound)[0] is passed


@pytest.mark.parametrize(
    ("kind", "bound", "words"),
    [
        (
            "checks",
            {"at_least": 0.95},
            "town.correct is to be at least 95.0%: found 90.0%, 95% interval 85.0% to 94.0%",
        ),
        (
            "checks",
            {"not_worse_by": 0.1},
            "town.correct is to be worse by less than 10.0 points: found 90.0% against 95.0%, a "
            "difference of -5.0 points, 95% interval -20.0 to +2.0 points",
        ),
        (
            "perplexity",
            {"better_by": 0.1},
            "town.correct is to be lower by at least 10.0%: found 2.460 against 2.586, a change "
            "of -4.9%, 95% interval -18.1% to +2.0%",
        ),
    ],
)
def test_a_verdict_tells_what_was_asked_and_found(
    kind: str, bound: dict[str, Any], words: str
) -> None:
    assert verdict(measured(kind, (-0.05, -0.2, 0.02)), **bound)[1] == words
