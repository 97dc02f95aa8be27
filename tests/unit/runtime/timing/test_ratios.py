"""Medians, ratios and their intervals, against order statistics by hand and by their coverage on made-up samples."""

import math

import numpy as np
import pytest
from distilforge.manifest import Measurement
from distilforge.timing import ratios
from distilforge.timing.ratios import estimate, fewest_rounds, round_medians
from distilforge.timing.shape import Shape

from tests.timing_subjects import measurement

SMALL, LARGE = Shape(batch=1, tokens=16), Shape(batch=8, tokens=128)


def even(subject: str, shape: Shape, *seconds: float) -> Measurement:
    """A run a round."""
    return measurement(subject, shape, tuple((second,) for second in seconds))


@pytest.mark.parametrize(("confidence", "rounds"), [(0.9, 4), (0.95, 5), (0.975, 6), (0.99, 7)])
def test_the_fewest_rounds_are_those_whose_range_is_an_interval(confidence: float, rounds: int) -> None:
    assert fewest_rounds(confidence) == rounds
    values = np.arange(1.0, rounds + 1)
    assert estimate(values, confidence=confidence).interval == (1.0, float(rounds))
    assert estimate(values[:-1], confidence=confidence).interval is None


@pytest.mark.parametrize(
    ("rounds", "interval"),
    # Below the k-th of n values lies the median with the probability that fewer than k of n coins show heads: for 8,
    # 1/256, 9/256 (0.035) and 37/256 (0.14); for 20 up to the sixth 0.021 and up to the seventh 0.058
    [(7, (1, 7)), (8, (2, 7)), (20, (6, 15))],
)
def test_ends_are_the_values_that_the_binomial_distribution_names(
    rounds: int, interval: tuple[int, int]
) -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, rounds + 1))
    assert estimate(values, confidence=0.95).interval == interval


def test_an_interval_covers_as_often_as_it_says_with_skewed_noise() -> None:
    random = np.random.default_rng(4)
    median, above, below = math.log(2), 0, 0
    for _ in range(2000):
        interval = estimate(random.exponential(size=11), confidence=0.95).interval
        assert interval is not None
        above += interval[0] > median
        below += interval[1] < median
    # Each end misses in 3.3% for 11 rounds (67/2048); 2,000 draws put that within 1.6% (four standard deviations)
    assert above / 2000 == pytest.approx(67 / 2048, abs=0.016)
    assert below / 2000 == pytest.approx(67 / 2048, abs=0.016)


def test_runs_of_one_round_count_as_one_sample() -> None:
    taken = measurement("one", SMALL, ((1.0, 1.0, 9.0), (2.0,), (3.0, 3.0)))
    np.testing.assert_array_equal(round_medians(taken), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(round_medians(taken, apart=[1]), [1.0, 3.0])
    assert ratios.seconds(taken).value == 2.0


def test_a_ratio_compares_round_by_round() -> None:
    # The machine was half as fast in every second round, for both alike
    ours, theirs = even("ours", SMALL, *[1.0, 2.0] * 3), even("theirs", SMALL, *[3.0, 6.0] * 3)
    ratio = ratios.ratio([ours, theirs], "ours", "theirs")
    assert ratio is not None
    assert ratio.value == pytest.approx(3.0)
    assert ratio.width == pytest.approx(0.0, abs=1e-12)


def test_a_ratio_over_shapes_is_the_geometric_mean() -> None:
    taken = [
        even("ours", SMALL, *[1.0] * 5),
        even("theirs", SMALL, *[2.0] * 5),
        even("ours", LARGE, *[1.0] * 5),
        even("theirs", LARGE, *[8.0] * 5),
    ]
    both, one = (
        ratios.ratio(taken, "ours", "theirs"),
        ratios.ratio(taken, "ours", "theirs", shapes=[LARGE]),
    )
    assert both is not None
    assert both.value == pytest.approx(4.0)
    assert one is not None
    assert one.value == pytest.approx(8.0)


def test_what_was_not_timed_together_has_no_ratio() -> None:
    taken = [even("ours", SMALL, *[1.0] * 5), even("theirs", SMALL, *[2.0] * 5), even("late", SMALL, 1.0)]
    assert ratios.ratio(taken, "ours", "nobody") is None
    assert ratios.ratio(taken, "ours", "late") is None
    assert ratios.ratio(taken, "ours", "theirs", shapes=[SMALL, LARGE]) is None


def test_without_an_interval_the_width_is_infinite() -> None:
    assert estimate(np.array([1.0, 2.0])).width == math.inf
    assert estimate(np.array([1.0, 1.0, 1.0, 1.0, 1.5])).width == pytest.approx(0.5)
