"""Quantiles: those of scipy, which plans do without."""

import pytest
from scipy.special import ndtri, stdtrit

from llmops.evaluation.quantiles import normal_quantile, root, student_quantile


@pytest.mark.parametrize("probability", [0.025, 0.5, 0.8, 0.975, 0.9995])
@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 71, 200, 201, 10_000_000])
def test_students_is_scipys(freedom: int, probability: float) -> None:
    expected = float(stdtrit(freedom, probability))
    assert student_quantile(freedom, probability) == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("probability", [1e-9, 0.2, 0.975])
def test_the_normal_one_is_scipys(probability: float) -> None:
    assert normal_quantile(probability) == pytest.approx(float(ndtri(probability)), rel=1e-12)


def test_a_root_is_found_from_either_side() -> None:
    assert root(lambda x: x * x - 2, 0.0, 2.0) == pytest.approx(2**0.5, abs=1e-15)
    assert root(lambda x: 2 - x, 3.0, 1.0) == pytest.approx(2.0, abs=1e-15)
