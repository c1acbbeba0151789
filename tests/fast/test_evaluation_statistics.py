"""Intervals: against published figures and statsmodels, and their coverage by simulation."""

import random
from itertools import pairwise

import pytest
from statsmodels.stats.proportion import proportion_confint

from llmops.evaluation.statistics import (
    Clusters,
    design_effect,
    difference,
    log_ratio,
    rate,
    tango,
    wilson,
)

Z = 1.959963984540054
TOWNS = [str(item // 4) for item in range(288)]
ALONE = [str(item) for item in range(288)]


@pytest.mark.parametrize(("successes", "items"), [(0, 9), (1, 9), (17, 20), (288, 288)])
def test_wilson_is_statsmodels(successes: int, items: int) -> None:
    expected = proportion_confint(successes, items, method="wilson")
    assert wilson(successes, items, Z) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("gained", "lost", "items", "low", "high"),
    [
        # Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), table II.
        (1, 7, 21, -0.517, -0.026),
        # Agresti and Min, Statistics in Medicine 24 (2005).
        (16, 8, 86, -0.020, 0.207),
    ],
)
def test_tango_is_as_published(gained: int, lost: int, items: int, low: float, high: float) -> None:
    assert tango(gained, lost, items, Z) == pytest.approx((low, high), abs=5e-4)


@pytest.mark.parametrize("items", [10, 288, 10_000])
def test_no_changed_answer_is_no_proof_of_no_difference(items: int) -> None:
    low, high = tango(0, 0, items, Z)
    edge = Z * Z / (items + Z * Z)
    assert (low, high) == pytest.approx((-edge, edge), abs=1e-8)


def test_tango_is_symmetric_and_stays_inside() -> None:
    low, high = tango(5, 0, 5, Z)
    assert tango(0, 5, 5, Z) == pytest.approx((-high, -low))
    assert low > 0
    assert high == pytest.approx(1.0)


def test_where_a_bootstrap_says_zero_this_does_not() -> None:
    same = [1.0] * 200 + [0.0] * 88
    changes = [one - other for one, other in zip(same, same, strict=True)]
    rng = random.Random(1)
    means = [sum(rng.choices(changes, k=288)) / 288 for _ in range(200)]
    found = difference(same, same, TOWNS, 0.95)
    assert (min(means), max(means)) == (0, 0)
    assert found.low < -0.05
    assert found.high > 0.05


def test_items_alone_are_all_worth_one() -> None:
    found = rate([1.0] * 250 + [0.0] * 38, ALONE, 0.95)
    assert found.effective == 288
    assert (found.low, found.high) == pytest.approx(wilson(250, 288, Z))


def test_copies_of_an_item_are_worth_one_item() -> None:
    once = [float(town % 5 != 0) for town in range(72)]
    four = [value for value in once for _ in range(4)]
    found = rate(four, TOWNS, 0.95)
    assert found.effective == pytest.approx(72)
    assert found.low < wilson(sum(once), 72, Z)[0]  # Student's quantile, not the normal one


def test_without_a_failure_the_items_of_a_source_count_as_one() -> None:
    assert design_effect([1.0] * 288, TOWNS) == pytest.approx(4)
    assert difference([1.0] * 288, [1.0] * 288, TOWNS, 0.95).effective == pytest.approx(72)


def test_failures_spread_over_sources_show_that_items_are_independent() -> None:
    spread = [float(item % 9 != 0) for item in range(288)]
    assert design_effect(spread, TOWNS) < 1.2


def test_one_failure_more_never_raises_the_lower_bound_by_much() -> None:
    """The added halves of sources keep `nothing failed` and `one failed` close together."""
    lows = []
    for failed in range(12):
        values = [float(item % 24 != 0 or item // 24 >= failed) for item in range(288)]
        lows.append(rate(values, TOWNS, 0.95).low)
    assert all(after <= before + 0.007 for before, after in pairwise(lows))


def test_a_single_source_shows_nothing() -> None:
    found = rate([1.0] * 9, ["a"] * 9, 0.95)
    assert (found.low, found.high) == (0, 1)
    assert (difference([1.0] * 9, [0.0] * 9, ["a"] * 9, 0.95).low) == -1


def simulated(rng: random.Random, together: float, shares: tuple[float, float]) -> list[float]:
    """Changes of 40 sources of 4 items: +1 and -1 with these probabilities; in a part of the
    sources, all the items share one fate."""
    values: list[float] = []
    for _ in range(40):
        shared = rng.random() if rng.random() < together else None
        for _ in range(4):
            drawn = rng.random() if shared is None else shared
            values.append(1.0 if drawn < shares[0] else -1.0 if drawn < sum(shares) else 0.0)
    return values


@pytest.mark.parametrize("together", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shares", [(0.85, 0.0), (0.1, 0.1), (0.03, 0.12)])
def test_intervals_cover(together: float, shares: tuple[float, float]) -> None:
    """95% intervals hold the truth in 95% of samples or more; 150 of them tell that to within two
    standard errors, 3.6%. Rates where nothing is lost, differences otherwise."""
    rng, sources, held = random.Random(7), [str(item // 4) for item in range(160)], 0
    for _ in range(150):
        changes = simulated(rng, together, shares)
        if shares[1] == 0:
            found = rate(changes, sources, 0.95)
        else:
            gained = [float(change > 0) for change in changes]
            lost = [float(change < 0) for change in changes]
            found = difference(gained, lost, sources, 0.95)
        held += found.low <= shares[0] - shares[1] <= found.high
    assert held / 150 >= 0.95 - 0.036


def test_the_mean_likelihood_has_the_interval_of_a_mean() -> None:
    """With texts of one length and a source each it is Student's interval (known figures: mean 3,
    standard deviation 1.5811, n 5, t 2.7764)."""
    found = log_ratio([(value * 10, 10) for value in (1, 2, 3, 4, 5)], list("abcde"), 0.95)
    assert found.estimate == pytest.approx(3)
    assert found.high - found.estimate == pytest.approx(2.7764 * 1.5811 / 5**0.5, abs=1e-3)


def test_clusters_count_what_they_are_worth() -> None:
    assert Clusters.of(list("aaabbc")) == Clusters(6, 3, 36 / 14)
    assert Clusters.of(TOWNS).scaled(36) == Clusters(144, 36, 36)
