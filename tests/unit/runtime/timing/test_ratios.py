"""Medians, ratios and their intervals, against order statistics by hand and by their coverage on made-up samples."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from distilforge.manifest import Measurement
from distilforge.timing import ratios
from distilforge.timing.ratios import estimate, fewest_rounds, round_medians
from distilforge.timing.shape import Shape

from tests.timing_subjects import measurement

SMALL, LARGE = Shape(batch=1, tokens=16), Shape(batch=8, tokens=128)
DRAWS = 2000


def one_run_a_round(subject: str, shape: Shape, *seconds: float) -> Measurement:
    return measurement(subject, shape, tuple((second,) for second in seconds))


def lower_tail(rounds: int, index: int) -> float:
    """The probability that the true median lies below the value at `index` of `rounds` sorted values."""
    return sum(math.comb(rounds, heads) for heads in range(index + 1)) / 2**rounds


@pytest.mark.parametrize(("confidence", "rounds"), [(0.9, 4), (0.95, 5), (0.975, 6), (0.99, 7)])
def test_the_fewest_rounds_are_those_whose_range_is_an_interval(confidence: float, rounds: int) -> None:
    assert fewest_rounds(confidence) == rounds
    values = np.arange(1.0, rounds + 1)
    assert estimate(values, confidence=confidence).interval == (1.0, float(rounds))
    assert estimate(values[:-1], confidence=confidence).interval is None


@pytest.mark.parametrize(
    ("rounds", "interval"),
    # The median lies below the k-th of n values with the probability that fewer than k of n coins show heads: for 8,
    # 1/256, 9/256 (0.035) and 37/256 (0.14); for 20 up to the sixth 0.021 and up to the seventh 0.058
    [(7, (1, 7)), (8, (2, 7)), (20, (6, 15))],
)
def test_ends_are_the_values_that_the_binomial_distribution_names(
    rounds: int, interval: tuple[int, int]
) -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, rounds + 1))
    assert estimate(values, confidence=0.95).interval == interval


def test_the_interval_of_more_rounds_than_a_float_can_count() -> None:
    # The mean of heads is 5,000 and their standard deviation 50: 1.645 of them below it lies the 4,918th value
    interval = estimate(np.arange(10_000.0)).interval
    assert interval is not None
    assert interval[0] == pytest.approx(4917, abs=1)
    assert interval[0] + interval[1] == 9999


@pytest.mark.parametrize(
    ("draw", "median"),
    [
        (lambda random, count: random.normal(size=count), 0.0),
        (lambda random, count: random.exponential(size=count), math.log(2)),
        # One round in five is disturbed and ten times as slow
        (
            lambda random, count: (
                np.where(random.random(count) < 0.2, 10.0, 1.0) * random.lognormal(0, 0.1, count)
            ),
            None,
        ),
    ],
    ids=["normal", "skewed", "disturbed"],
)
@pytest.mark.parametrize(("rounds", "confidence"), [(5, 0.95), (11, 0.95), (30, 0.95), (11, 0.975)])
def test_each_end_misses_the_median_as_rarely_as_it_says(
    draw: Callable[[np.random.Generator, int], npt.NDArray[np.float64]],
    median: float | None,
    rounds: int,
    confidence: float,
) -> None:
    random = np.random.default_rng(4)
    if median is None:
        # Among a million draws, the share below the median is within 0.2% of a half
        median = float(np.median(draw(random, 1_000_000)))
    above = below = 0
    for _ in range(DRAWS):
        interval = estimate(draw(random, rounds), confidence=confidence).interval
        assert interval is not None
        above += interval[0] > median
        below += interval[1] < median
    index = max(index for index in range(rounds) if lower_tail(rounds, index) <= 1 - confidence)
    expected = lower_tail(rounds, index)
    assert expected <= 1 - confidence
    # Four standard deviations of a share of the draws
    tolerance = 4 * math.sqrt(expected * (1 - expected) / DRAWS)
    assert above / DRAWS == pytest.approx(expected, abs=tolerance)
    assert below / DRAWS == pytest.approx(expected, abs=tolerance)


def test_the_interval_of_a_ratio_covers_it_though_the_machine_drifts() -> None:
    """Both sides slow down together from round to round, by far more than their ratio's noise."""
    random = np.random.default_rng(5)
    rounds, misses = 20, 0
    for _ in range(500):
        drift = np.exp(np.cumsum(random.normal(0, 0.3, rounds)))
        noise = random.lognormal(0, 0.02, (2, rounds))
        ours = one_run_a_round("ours", SMALL, *(drift * noise[0]))
        theirs = one_run_a_round("theirs", SMALL, *(3.0 * drift * noise[1]))
        ratio = ratios.ratio([ours, theirs], "ours", "theirs")
        assert ratio is not None
        assert ratio.interval is not None
        # The ratio's noise is 2.8%, and the ends lie well within three times that; a round's drift alone is 30%
        assert ratio.width < 0.16
        misses += not ratio.interval[0] <= 3.0 <= ratio.interval[1]
    expected = 2 * lower_tail(rounds, 5)
    # Four standard deviations of a share of 500
    assert misses / 500 == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 500))


def test_runs_of_one_round_count_as_one_sample() -> None:
    runs = measurement("one", SMALL, ((1.0, 1.0, 9.0), (2.0,), (3.0, 3.0)))
    np.testing.assert_array_equal(round_medians(runs), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(round_medians(runs, apart=[1]), [1.0, 3.0])
    assert ratios.seconds(runs).value == 2.0


def test_rounds_of_equal_size_give_the_same_medians() -> None:
    """They are computed all at once."""
    runs = measurement("one", SMALL, ((1.0, 2.0, 9.0), (4.0, 5.0, 6.0)))
    np.testing.assert_array_equal(round_medians(runs), [2.0, 5.0])
    np.testing.assert_array_equal(round_medians(runs, apart=[0]), [5.0])


def test_a_ratio_compares_round_by_round() -> None:
    # The machine was half as fast in every second round, for both alike
    ours = one_run_a_round("ours", SMALL, *[1.0, 2.0] * 3)
    theirs = one_run_a_round("theirs", SMALL, *[3.0, 6.0] * 3)
    ratio = ratios.ratio([ours, theirs], "ours", "theirs")
    assert ratio is not None
    assert ratio.value == pytest.approx(3.0)
    assert ratio.width == pytest.approx(0.0, abs=1e-12)


def test_a_ratio_over_shapes_is_the_geometric_mean() -> None:
    measurements = [
        one_run_a_round("ours", SMALL, *[1.0] * 5),
        one_run_a_round("theirs", SMALL, *[2.0] * 5),
        one_run_a_round("ours", LARGE, *[1.0] * 5),
        one_run_a_round("theirs", LARGE, *[8.0] * 5),
    ]
    both = ratios.ratio(measurements, "ours", "theirs")
    one = ratios.ratio(measurements, "ours", "theirs", shapes=[LARGE])
    assert both is not None
    assert both.value == pytest.approx(4.0)
    assert one is not None
    assert one.value == pytest.approx(8.0)


def test_a_ratio_leaves_out_rounds_apart_at_every_shape() -> None:
    # Apart, what is compared loses its lead: in rounds 1 and 4 of 7
    ours = [1.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0]
    measurements = [
        *(one_run_a_round("ours", shape, *ours) for shape in (SMALL, LARGE)),
        *(one_run_a_round("theirs", shape, *[2.0] * 7) for shape in (SMALL, LARGE)),
    ]
    kept, all_rounds = (ratios.ratio(measurements, "ours", "theirs", apart=apart) for apart in ((1, 4), ()))
    assert kept is not None
    assert (kept.value, kept.interval) == (pytest.approx(2.0), pytest.approx((2.0, 2.0)))
    assert all_rounds is not None
    assert all_rounds.interval == pytest.approx((1.0, 2.0))


def test_too_few_rounds_beside_those_apart_give_no_interval() -> None:
    measurements = [one_run_a_round("ours", SMALL, *[1.0] * 6), one_run_a_round("theirs", SMALL, *[2.0] * 6)]
    ratio = ratios.ratio(measurements, "ours", "theirs", apart=(0, 1))
    assert ratio is not None
    assert (ratio.value, ratio.interval) == (pytest.approx(2.0), None)


def test_shapes_with_more_rounds_than_others_count_as_many_as_all_have() -> None:
    """Older releases have such measurements."""
    measurements = [
        one_run_a_round("ours", SMALL, *[1.0] * 5, 100.0),
        one_run_a_round("theirs", SMALL, *[2.0] * 6),
        one_run_a_round("ours", LARGE, *[1.0] * 5),
        one_run_a_round("theirs", LARGE, *[2.0] * 5),
    ]
    ratio = ratios.ratio(measurements, "ours", "theirs")
    assert ratio is not None
    assert ratio.interval == pytest.approx((2.0, 2.0))


def test_subjects_that_were_not_timed_together_do_not_have_a_ratio() -> None:
    measurements = [
        one_run_a_round("ours", SMALL, *[1.0] * 5),
        one_run_a_round("theirs", SMALL, *[2.0] * 5),
        one_run_a_round("late", SMALL, 1.0),
    ]
    assert ratios.ratio(measurements, "ours", "nobody") is None
    assert ratios.ratio(measurements, "ours", "late") is None
    assert ratios.ratio(measurements, "ours", "theirs", shapes=[SMALL, LARGE]) is None


def test_without_an_interval_the_width_is_infinite() -> None:
    assert estimate(np.array([1.0, 2.0])).width == math.inf
    assert estimate(np.array([1.0, 1.0, 1.0, 1.0, 1.5])).width == pytest.approx(0.5)


def test_a_quantile_is_of_all_runs_and_not_of_rounds() -> None:
    runs = measurement("a", SMALL, ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0), (11.0,)))
    assert ratios.quantile(runs, 0.9) == pytest.approx(10.0)
    assert ratios.quantile(runs, 0.5) == pytest.approx(6.0)
