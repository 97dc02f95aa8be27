"""Least squares against every candidate, and on distributions whose answer is known."""

from itertools import product

import numpy as np
import pytest

from pipeline.precision.ranges import least_squares
from pipeline.precision.ranges.histogram import Histogram
from pipeline.precision.ranges.least_squares import FRACTIONS, least_squares_bound, least_squares_range


def histogram(values: np.ndarray) -> Histogram:
    filled = Histogram()
    filled.add(values.astype(np.float32), float(np.abs(values).max()))
    return filled


def squared_error(values: np.ndarray, low: float, high: float, levels: int) -> float:
    """The sum over `values` themselves, not over bins."""
    step = (high - low) / levels
    zero_point = np.rint(-low / step)
    numbers = np.clip(np.rint(values / step) + zero_point, 0, levels)
    return float(np.square((numbers - zero_point) * step - values).sum())


@pytest.mark.parametrize("levels", [15, 255])
@pytest.mark.parametrize("name", ["normal", "skewed", "outlier"])
def test_no_candidate_is_much_better(name: str, levels: int) -> None:
    random = np.random.default_rng(0)
    values = {
        "normal": random.standard_normal(4000),
        "skewed": random.gamma(1.0, 1.0, 4000) - 0.3,
        "outlier": np.append(random.standard_normal(4000), 50.0),
    }[name]
    low, high = float(values.min()), float(values.max())
    chosen = squared_error(values, *least_squares_range(histogram(values), low, high, levels=levels), levels)
    best = min(
        squared_error(values, low * below, high * above, levels)
        for below, above in product(FRACTIONS, FRACTIONS)
    )
    # The ends are chosen in turn, on the middles of bins, so a pair may be better by a few per cent
    assert chosen <= best * 1.05


def test_a_bound_is_the_best_of_its_candidates() -> None:
    values = np.append(np.random.default_rng(1).standard_normal(4000), 50.0)
    bound = least_squares_bound(histogram(values), 50.0, levels=14)
    errors = {50.0 * part: squared_error(values, -50.0 * part, 50.0 * part, 14) for part in FRACTIONS}
    # Values count as the middles of bins that are 0.016 wide, a hundredth of a step
    assert errors[bound] <= min(errors.values()) * 1.01


def test_values_on_the_steps_of_the_whole_range_are_not_clipped() -> None:
    steps = np.repeat(np.arange(-7.0, 9.0), 10)
    assert least_squares_range(histogram(steps), -7.0, 8.0, levels=15) == (-7.0, 8.0)


def test_one_large_value_is_clipped_and_many_are_not() -> None:
    small = np.random.default_rng(2).standard_normal(100_000)
    _, one = least_squares_range(histogram(np.append(small, 20.0)), float(small.min()), 20.0, levels=15)
    many = np.append(small, np.full(5000, 20.0))
    _, kept = least_squares_range(histogram(many), float(small.min()), 20.0, levels=15)
    assert one < 6
    assert kept > 18


def test_another_rounding_is_measured_by_its_own_errors() -> None:
    """Numbers that restore only values up to a third of the bound have the best bound at three times the largest."""
    values = np.linspace(-0.3, 0.3, 1000)

    def restore(middles: np.ndarray, bound: float) -> np.ndarray:
        return np.clip(middles, -bound / 3, bound / 3)

    # 0.9 is a candidate: 36 fortieths of 1
    assert least_squares.rounding_bound(histogram(values), 1.0, restore) == pytest.approx(0.9, abs=1 / 40)
