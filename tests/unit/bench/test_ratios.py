"""Ratios, their intervals and the limits, on made-up samples."""

import numpy as np
import pytest
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.ratios import EAGER, OPENVINO, OPTIMUM, Ratio, Wanted, ratios, wanted
from tests.timing_subjects import measurement, steady

SMALL, LARGE = Shape(batch=1, tokens=16), Shape(batch=8, tokens=128)
OURS = "ours"


def timing(seconds: dict[tuple[str, Shape], float], *, spread: float = 0.0, rounds: int = 20) -> Timing:
    """Rounds around the given seconds, with log-normal noise of the given spread."""
    random = np.random.default_rng(5)
    return Timing(
        measurements=tuple(
            measurement(
                name,
                shape,
                tuple((float(middle * np.exp(spread * random.normal())),) for _ in range(rounds)),
            )
            for (name, shape), middle in seconds.items()
        ),
        steadiness=steady(rounds),
    )


def test_ratios_stand_for_every_shape_and_their_mean() -> None:
    seconds = {(OURS, SMALL): 1.0, ("peer", SMALL): 2.0, (OURS, LARGE): 1.0, ("peer", LARGE): 8.0}
    told = ratios(timing(seconds), OURS, ["peer"], title="a peer")
    assert [ratio.value for ratio in told] == pytest.approx([2.0, 8.0, 4.0])
    assert [ratio.shape for ratio in told] == [SMALL, LARGE, None]
    assert {ratio.opponent for ratio in told} == {"a peer"}


def test_at_each_shape_the_fastest_preset_of_a_peer_counts() -> None:
    seconds = {(OURS, SMALL): 1.0, ("plain", SMALL): 3.0, ("optimized", SMALL): 2.0}
    seconds |= {(OURS, LARGE): 1.0, ("plain", LARGE): 5.0, ("optimized", LARGE): 6.0}
    # A family may have the name of one of its presets
    told = ratios(timing(seconds), OURS, ["plain", "optimized"], title="plain")
    assert [ratio.value for ratio in told] == pytest.approx([2.0, 5.0, np.sqrt(10.0)])


def test_an_interval_holds_the_ratio_and_needs_six_rounds() -> None:
    seconds = {(OURS, SMALL): 1.0, ("peer", SMALL): 1.5}
    many, few = (
        ratios(timing(seconds, spread=0.01, rounds=rounds), OURS, ["peer"], title="peer")[0].estimate.interval
        for rounds in (6, 5)
    )
    assert many is not None
    assert many[0] < 1.5 < many[1]
    assert few is None


def test_a_shape_that_a_peer_refuses_costs_that_ratio_and_the_mean_and_its_limits() -> None:
    told = ratios(
        timing({(OURS, SMALL): 1.0, (EAGER, SMALL): 9.0, (OURS, LARGE): 1.0}), OURS, [EAGER], title=EAGER
    )
    assert [ratio.shape for ratio in told] == [SMALL]
    assert not any(wanted({EAGER: told, OPTIMUM: told}))
    # Where another preset takes the shape, it stands for the peer
    seconds = {(OURS, SMALL): 1.0, ("plain", SMALL): 2.0, (OURS, LARGE): 1.0, ("other", LARGE): 8.0}
    told = ratios(timing(seconds), OURS, ["plain", "other"], title="peer")
    assert [ratio.value for ratio in told] == pytest.approx([2.0, 8.0, 4.0])


def against(title: str, mean: float, worst: float) -> dict[str, tuple[Ratio, ...]]:
    def ratio(value: float, shape: Shape | None) -> Ratio:
        estimate = Estimate(value=value, interval=(value, value))
        return Ratio(opponent=title, shape=shape, estimate=estimate)

    return {title: (ratio(worst, SMALL), ratio(2 * mean, LARGE), ratio(mean, None))}


@pytest.mark.parametrize(
    ("title", "mean", "worst", "met"),
    [
        (EAGER, 7.5, 1.0, [True]),
        (EAGER, 7.4, 7.0, [False]),
        (OPTIMUM, 1.25, 1.0, [True, True]),
        (OPTIMUM, 1.24, 0.99, [False, False]),
        (OPENVINO, 1 / 1.08, 1 / 1.2, [True, True]),
        (OPENVINO, 1 / 1.09, 1 / 1.21, [False, False]),
    ],
)
def test_the_limits_of_each_peer(title: str, mean: float, worst: float, met: list[bool]) -> None:
    found = [one for one in wanted(against(title, mean, worst)) if one.observed is not None]
    assert [bool(one) for one in found] == met


def test_what_was_not_measured_is_not_met() -> None:
    assert not any(wanted({}))
    assert not Wanted(what="anything", observed=None, at_most=1.0)
