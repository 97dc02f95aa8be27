"""When a budget is spent, and what a timing makes of its rounds, on made-up samples."""

import math
from dataclasses import replace

import numpy as np
import pytest
from distilforge.manifest import Measurement
from distilforge.timing import ratios
from distilforge.timing.rounds import Budget, Timing
from distilforge.timing.shape import Shape

from tests.timing_subjects import measurement, steady

SHAPE, OTHER = Shape(batch=1, tokens=16), Shape(batch=8, tokens=128)
NEAR, APART = 150.0, 400.0
BUDGET = Budget(seconds=10.0, width=0.05, patience_seconds=20.0)


def two_subjects(rounds: int, *, noise: float) -> tuple[Measurement, ...]:
    """Two subjects whose ratio is 2 in even rounds, and 2 * (1 + noise) in odd ones."""
    return (
        measurement("one", SHAPE, ((2.0,),) * rounds),
        measurement("two", SHAPE, tuple((1.0 / (1 + noise * (number % 2)),) for number in range(rounds))),
    )


def test_it_goes_on_until_an_interval_is_possible() -> None:
    # 5 rounds are the fewest for an interval at 95%
    assert not BUDGET.is_spent(1e9, two_subjects(4, noise=0.0), [NEAR] * 4)
    assert BUDGET.is_spent(1e9, two_subjects(5, noise=0.0), [NEAR] * 5)
    surer = replace(BUDGET, confidence=0.975)
    assert not surer.is_spent(1e9, two_subjects(5, noise=0.0), [NEAR] * 5)
    assert surer.is_spent(1e9, two_subjects(6, noise=0.0), [NEAR] * 6)


@pytest.mark.parametrize(("noise", "narrow"), [(0.04, True), (0.06, False)])
def test_narrow_intervals_end_it_before_the_time(noise: float, narrow: bool) -> None:
    measurements = two_subjects(10, noise=noise)
    assert BUDGET.is_spent(9.9, measurements, [NEAR] * 10) == narrow
    assert BUDGET.is_spent(10.0, measurements, [NEAR] * 10)


def test_narrow_intervals_end_it_only_after_the_stated_rounds() -> None:
    ends = [n for n in range(5, 200) if BUDGET.is_spent(0.0, two_subjects(n, noise=0.0), [NEAR] * n)]
    assert ends == [10, 20, 40, 80, 160]


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.05])
def test_an_end_of_the_interval_holds_in_95_of_100_timings_that_may_end_early(noise: float) -> None:
    random = np.random.default_rng(20)
    budget, timings, lower_ends_hold = Budget(seconds=1e9, most_rounds=60), 600, 0
    for _ in range(timings):
        factors = np.exp(random.normal(0.0, noise, budget.most_rounds))
        for rounds in (10, 20, 40, 60):
            both = (
                measurement("one", SHAPE, ((1.0,),) * rounds),
                measurement("two", SHAPE, tuple((float(factor),) for factor in factors[:rounds])),
            )
            if budget.is_spent(0.0, both, [NEAR] * rounds):
                break
        estimate = ratios.ratio(both, "two", "one")
        assert estimate is not None
        assert estimate.interval is not None
        lower_ends_hold += estimate.interval[0] <= 1.0
    # Three standard errors below 95%, since the draw is one of many
    assert lower_ends_hold / timings >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / timings)


def test_every_ratio_must_be_narrow() -> None:
    third = measurement("three", SHAPE, ((1.0,), (1.2,)) * 5)
    assert not BUDGET.is_spent(9.9, (*two_subjects(10, noise=0.0), third), [NEAR] * 10)


def test_one_subject_does_not_have_a_ratio_that_could_be_narrow() -> None:
    alone = two_subjects(10, noise=0.0)[:1]
    assert not BUDGET.is_spent(9.9, alone, [NEAR] * 10)
    assert BUDGET.is_spent(10.0, alone, [NEAR] * 10)


def test_the_most_rounds_end_it_in_any_case() -> None:
    few = replace(BUDGET, most_rounds=7)
    noisy = two_subjects(7, noise=1.0)
    assert few.is_spent(0.0, noisy, [NEAR, APART, APART, APART, APART, APART, APART])
    assert not few.is_spent(0.0, two_subjects(6, noise=1.0), [NEAR] * 6)


def test_it_is_patient_if_the_cores_shared_a_cache_in_too_few_rounds() -> None:
    measurements = two_subjects(10, noise=0.0)
    few_near, enough_near = [NEAR] * 4 + [APART] * 6, [NEAR] * 5 + [APART] * 5
    assert not BUDGET.is_spent(29.9, measurements, few_near)
    assert BUDGET.is_spent(30.0, measurements, few_near)
    assert BUDGET.is_spent(0.0, measurements, enough_near)
    # A system that does not measure the distance needs no patience
    assert BUDGET.is_spent(0.0, measurements, [None] * 10)


def test_without_measurements_it_ends_at_once() -> None:
    assert BUDGET.is_spent(0.0, (), [NEAR])


def test_ratios_and_seconds_leave_out_the_rounds_in_which_the_cores_were_apart() -> None:
    near, apart = (1.0,), (9.0,)
    timing = Timing(
        measurements=(
            measurement("one", SHAPE, (near, apart, near, near, near, near)),
            measurement("two", SHAPE, ((2.0,),) * 6),
        ),
        steadiness=steady(6, apart=(1,)),
    )
    seconds, ratio = timing.seconds("one", SHAPE), timing.ratio("one", "two")
    assert seconds is not None
    assert seconds.interval == (1.0, 1.0)
    assert ratio is not None
    assert ratio.interval == pytest.approx((2.0, 2.0))


def test_a_timing_without_enough_rounds_has_a_median_and_no_interval() -> None:
    timing = Timing(measurements=two_subjects(4, noise=0.0), steadiness=steady(4))
    ratio = timing.ratio("two", "one")
    assert ratio is not None
    assert (ratio.value, ratio.interval, ratio.width) == (pytest.approx(2.0), None, math.inf)
    assert timing.seconds("one", OTHER) is None
    assert timing.ratio("two", "three") is None
