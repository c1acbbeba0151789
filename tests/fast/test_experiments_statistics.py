"""The statistics of experiments: intervals that may be watched, blocks that stay, sample ratios.

The simulated crowds are those of benchmarks/experiments.py, which runs more of them."""

import math

import numpy as np
import pytest

from benchmarks.experiments import (
    Crowd,
    alarms,
    by_rating,
    by_user,
    once,
    peeking,
    ratio_alarm,
    users_needed,
)
from llmops.experiments import betting, normal
from llmops.experiments.blocks import differences
from llmops.experiments.ratio import check_ratio

CROWDS = {
    "even": Crowd(),
    "a tenth of the traffic": Crowd(share=0.1),
    "seldom liked": Crowd(rate=0.05),
    "the most active like it more": Crowd(keen=0.8),
}


@pytest.mark.parametrize("name", CROWDS)
def test_two_equal_versions_seldom_alarm_whoever_watches(name: str) -> None:
    assert alarms(by_user, CROWDS[name], 400) <= 0.05


def test_single_ratings_as_users_alarm_most_of_the_time() -> None:
    assert alarms(by_rating, Crowd(), 40) > 0.5


def test_a_fixed_horizon_interval_alarms_when_watched_but_not_at_the_end() -> None:
    assert alarms(peeking, Crowd(), 60) > 0.15
    assert alarms(once, Crowd(), 60) < 0.15


def test_a_difference_of_ten_points_is_found() -> None:
    needed = users_needed(0.1, rate=0.5, share=0.5, runs=20)
    assert np.isfinite(needed).all()
    assert np.median(needed) < 1600


def test_a_great_difference_is_found_among_few_users() -> None:
    assert np.median(users_needed(0.5, rate=0.4, share=0.5, runs=20)) < 80


def bits(n: int, rate: float, seed: int = 0) -> betting.Floats:
    return (np.random.default_rng(seed).random(n) < rate).astype(np.float64)


def test_an_interval_ends_where_the_capital_reaches_its_bound() -> None:
    values = 2 * bits(300, 0.7) - 1
    low, high = betting.interval(values, low=-1, high=1, alpha=0.05)
    assert low < values.mean() < high
    for end, side in ((low, 1), (-high, -1)):
        capital = betting.log_capital(side * values, end, low=-1.0)[-1]
        assert capital == pytest.approx(math.log(2 / 0.05), abs=0.01)


def test_an_interval_narrows_with_more_values_and_a_greater_alpha() -> None:
    def width(n: int, alpha: float) -> float:
        low, high = betting.interval(bits(n, 0.3), low=0, high=1, alpha=alpha)
        return high - low

    assert width(50, 0.05) > width(500, 0.05) > width(500, 0.2) > 0


@pytest.mark.parametrize(("value", "low", "high"), [(0.0, 0.0, 0.5), (1.0, 0.5, 1.0)])
def test_outcomes_that_are_all_the_same_leave_doubt(value: float, low: float, high: float) -> None:
    found = betting.interval(np.full(12, value), low=0, high=1, alpha=0.05)
    assert found[0] == pytest.approx(low, abs=0.45)
    assert found[1] == pytest.approx(high, abs=0.45)
    assert found[1] - found[0] > 0.2


def test_no_value_says_nothing() -> None:
    assert betting.interval(np.empty(0), low=-1, high=1, alpha=0.05) == (-1, 1)
    assert normal.interval(np.ones(500), alpha=0.05) == (-math.inf, math.inf)
    assert normal.interval(np.arange(10.0), alpha=0.05) == (-math.inf, math.inf)


def test_values_without_bounds_are_covered_at_all_times() -> None:
    streams = np.random.default_rng(1).spawn(100)
    missed = 0
    for stream in streams:
        values = stream.gamma(2.0, 50.0, size=600)
        ends = [normal.interval(values[:n], alpha=0.05) for n in range(20, 600, 5)]
        missed += any(not low < 100 < high for low, high in ends)
    assert missed <= 5


def test_blocks_never_change_afterwards() -> None:
    candidate = bits(700, 0.3) > 0
    values = bits(700, 0.5, seed=1)
    whole = differences(candidate, values, 0.5)
    for n in range(0, 700, 7):
        part = differences(candidate[:n], values[:n], 0.5)
        assert np.array_equal(part, whole[: len(part)])


@pytest.mark.parametrize("share", [0.5, 0.1, 0.9, 0.4])
def test_blocks_use_nearly_all_units_of_the_rarer_variant(share: float) -> None:
    candidate = bits(4000, share) > 0
    values = candidate.astype(np.float64)
    steps = differences(candidate, values, share)
    assert (steps == 1).all()
    rarer = min(candidate.sum(), (~candidate).sum())
    assert len(steps) > 0.3 * rarer
    assert len(steps) <= rarer


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5])
def test_one_variant_alone_makes_no_block(share: float) -> None:
    assert len(differences(np.zeros(50, np.bool_), np.ones(50), share)) == 0


def test_a_lost_third_of_the_candidates_users_is_noticed() -> None:
    assert check_ratio({1: (500, 333)}, {1: 0.5}).mismatch
    assert not check_ratio({1: (500, 480)}, {1: 0.5}).mismatch
    assert not check_ratio({1: (900, 110), 2: (52, 48)}, {1: 0.1, 2: 0.5}).mismatch


def test_units_of_unknown_weights_are_counted_as_unchecked() -> None:
    check = check_ratio({1: (500, 5), 2: (10, 12)}, {2: 0.5})
    assert not check.mismatch
    assert check.unchecked == 505


def test_a_unit_where_the_weight_is_nothing_is_a_mismatch() -> None:
    assert check_ratio({1: (10, 1)}, {1: 0.0}).mismatch
    assert not check_ratio({1: (10, 0)}, {1: 0.0}).mismatch


def test_the_sample_ratio_check_seldom_speaks_of_sound_experiments() -> None:
    assert alarms(ratio_alarm, Crowd(users=300, events=1500), 60) <= 0.02
