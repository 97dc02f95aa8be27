"""Every reason why a timing is not steady, on made-up windows and rounds."""

from dataclasses import replace

import pytest
from distilforge.timing.shape import Shape
from distilforge.timing.steadiness import (
    CLOCK_CHANGE_LIMIT,
    INTERRUPTIONS_LIMIT,
    STOLEN_CORES_LIMIT,
    judge,
)
from distilforge.timing.watch import Window

from tests.timing_subjects import measurement

SHAPE = Shape(batch=1, tokens=16)
CONSTANT = (measurement("one", SHAPE, ((1.0,),) * 10),)
NEAR, APART = 150.0, 400.0
QUIET = Window(seconds=1.0, others_cores=0.02, stolen_cores=0.01, interruptions=8.0, megahertz=3000.0)


def test_a_quiet_machine_is_steady_and_its_figures_are_kept() -> None:
    steadiness = judge([QUIET] * 10, CONSTANT, [NEAR] * 10, 0.95)
    assert steadiness.steady
    assert steadiness.reasons == ()
    assert steadiness.rounds == 10
    assert steadiness.spread == 0.0
    assert steadiness.others_cores == pytest.approx(0.02)
    assert steadiness.stolen_cores == pytest.approx(0.01)
    assert steadiness.interruptions == pytest.approx(8.0)
    assert steadiness.megahertz == (3000.0, 3000.0)
    assert steadiness.round_trip_nanoseconds == (NEAR, NEAR)


@pytest.mark.parametrize(
    ("disturbed", "reason"),
    [
        # As many cores as any machine has: the limit grows with them
        (replace(QUIET, others_cores=1e6), "other processes took 1000000.0 cores for 3 of 10 s"),
        (replace(QUIET, stolen_cores=2 * STOLEN_CORES_LIMIT), "the host took 0.4 cores away for 3 of 10 s"),
        (
            replace(QUIET, interruptions=2 * INTERRUPTIONS_LIMIT),
            "subjects were interrupted 300 times a second for 3 of",
        ),
        (
            replace(QUIET, megahertz=3000.0 / (1.05 + CLOCK_CHANGE_LIMIT)),
            "the cores' clock went from 2500 to 3000 MHz",
        ),
    ],
)
def test_what_disturbs_more_than_a_fifth_of_the_time_is_a_reason(disturbed: Window, reason: str) -> None:
    steadiness = judge([QUIET] * 7 + [disturbed] * 3, CONSTANT, [NEAR] * 10, 0.95)
    assert not steadiness.steady
    (only,) = steadiness.reasons
    assert only.startswith(reason)


def test_a_short_disturbance_is_not_a_reason() -> None:
    disturbed = replace(QUIET, others_cores=1e6, stolen_cores=1.0, interruptions=1e4)
    assert judge([QUIET] * 9 + [disturbed], CONSTANT, [NEAR] * 10, 0.95).steady


def test_a_figure_that_the_system_does_not_have_is_not_a_reason() -> None:
    steadiness = judge([Window(seconds=1.0)] * 5, CONSTANT, [None] * 10, 0.95)
    assert steadiness.steady
    assert steadiness.others_cores is None
    assert steadiness.megahertz is None
    assert steadiness.round_trip_nanoseconds is None


def test_a_timing_that_nobody_watched_is_not_steady() -> None:
    assert judge([], CONSTANT, [NEAR] * 10, 0.95).reasons == ("it was too short to watch the machine",)


def test_rounds_that_differ_are_a_reason_that_names_their_subject() -> None:
    wide = measurement("two", SHAPE, (*((1.0,),) * 5, *((2.0,),) * 5))
    steadiness = judge([QUIET] * 5, (*CONSTANT, wide), [NEAR] * 10, 0.95)
    (reason,) = steadiness.reasons
    assert reason.startswith("the rounds of two at 1x16 differ by 67%")


def test_rounds_with_the_cores_apart_are_left_out_and_do_not_count_as_spread() -> None:
    moved = measurement("one", SHAPE, (*((1.0,),) * 6, *((2.0,),) * 4))
    steadiness = judge([QUIET] * 5, [moved], [*[NEAR] * 6, *[APART] * 4], 0.95)
    assert steadiness.steady
    assert steadiness.apart == (6, 7, 8, 9)
    assert steadiness.spread == 0.0


def test_too_few_rounds_with_the_cores_near_are_a_reason_and_none_is_left_out() -> None:
    steadiness = judge([QUIET] * 5, CONSTANT, [*[NEAR] * 5, *[APART] * 5], 0.975)
    assert steadiness.reasons == ("the two cores shared a cache in only 5 of 10 rounds",)
    assert steadiness.apart == ()
