"""What a suite can show, and gates that ask for more."""

import random
from typing import Any

import pytest

from llmops.evaluation.power import ability, smallest_difference, smallest_rate
from llmops.evaluation.statistics import Clusters, difference, rate
from llmops.spec.evaluation import Requirement

TOWNS = Clusters(288, 72, 72)
ALONE = Clusters(288, 288, 288)
Z, POWER = 1.959963984540054, 0.8416212335729143


def asks(**bound: float) -> Requirement:
    return Requirement(suite="town", metric="correct", **bound)


@pytest.mark.parametrize(
    ("bound", "clusters", "words"),
    [
        ({"not_worse_by": 0.1}, ALONE, "a drop of 5.2 points, 80%"),
        (
            {"not_worse_by": 0.1},
            TOWNS,
            "5.3 points if the items of a source fail independently, 10.8",
        ),
        ({"better_by": 0.05}, ALONE, "a gain of 10.2 points"),
        ({"at_least": 0.8}, ALONE, "a true rate from 86.3%"),
    ],
)
def test_the_smallest_effect_is_told(bound: dict[str, Any], clusters: Clusters, words: str) -> None:
    can = ability(asks(**bound), "checks", clusters, 0.95)
    assert words in can.words
    assert not can.refused


@pytest.mark.parametrize(
    ("bound", "clusters", "needs"),
    [
        ({"not_worse_by": 0.013}, ALONE, "292 items"),
        ({"not_worse_by": 0.05}, TOWNS, "76 sources"),
        ({"at_least": 0.99}, ALONE, "381 items"),
        ({"at_least": 1.0}, ALONE, "no number of items"),
        ({"better_by": 0.95}, TOWNS, "153 sources"),
        ({"not_worse_by": 0.1}, Clusters(9, 1, 1), "38 sources"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    bound: dict[str, Any], clusters: Clusters, needs: str
) -> None:
    can = ability(asks(**bound), "checks", clusters, 0.95)
    assert "cannot be shown" in can.refused
    assert needs in can.needs


@pytest.mark.parametrize("count", [75, 76])
def test_as_many_sources_as_it_names_are_enough(count: int) -> None:
    same = [1.0] * 4 * count
    found = difference(same, same, [str(item // 4) for item in range(4 * count)], 0.95)
    assert (found.low > -0.05) is (count >= 76)


def test_a_drop_of_that_size_is_detected_four_times_in_five() -> None:
    """By simulation, with the share of changed answers that is assumed."""
    drop, rng, detected = smallest_difference(288, Z, POWER), random.Random(3), 0
    sources = [str(item) for item in range(288)]
    lost, gained = (0.1 + drop) / 2, (0.1 - drop) / 2
    for _ in range(300):
        drawn = [rng.random() for _ in sources]
        ours = [float(value < gained) for value in drawn]
        theirs = [float(gained <= value < gained + lost) for value in drawn]
        detected += difference(ours, theirs, sources, 0.95).high < 0
    assert detected / 300 == pytest.approx(0.8, abs=0.08)


def test_a_rate_of_that_size_passes_four_times_in_five() -> None:
    true, rng, passed = smallest_rate(0.8, 288, Z, POWER), random.Random(3), 0
    assert true is not None
    sources = [str(item) for item in range(288)]
    for _ in range(300):
        values = [float(rng.random() < true) for _ in sources]
        passed += rate(values, sources, 0.95).low >= 0.8
    assert passed / 300 == pytest.approx(0.8, abs=0.08)


def test_a_drop_may_need_more_than_the_assumed_share_of_changes() -> None:
    assert 0.1 < smallest_difference(20, Z, POWER) < 1
