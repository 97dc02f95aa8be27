"""The limits of latency and of builds, on made-up ratios and costs."""

import pytest
from distilforge.timing.ratios import Estimate
from distilforge.timing.shape import Shape

from bench.build_cost import BuildCost, BuilderCosts
from bench.contest.limit import Limit
from bench.contest.ratios import Ratio
from bench.cpu.limits import EAGER, OPENVINO, OPTIMUM, build_limits, latency_limits

SMALL, LARGE = Shape(batch=1, tokens=16), Shape(batch=8, tokens=128)


def ratio(opponent: str, value: float, shape: Shape | None) -> Ratio:
    return Ratio(opponent=opponent, shape=shape, estimate=Estimate(value=value, interval=(value, value)))


@pytest.mark.parametrize(
    ("title", "mean", "worst", "met"),
    [
        (EAGER, 7.5, 1.0, [True, True]),
        (EAGER, 7.4, 0.99, [False, False]),
        (OPTIMUM, 1.25, 1.0, [True, True]),
        (OPTIMUM, 1.24, 0.99, [False, False]),
        (OPENVINO, 1 / 0.9, 1.0, [True, True, True]),
        (OPENVINO, 1 / 0.91, 1 / 1.01, [False, False, False]),
        ("another", 9.0, 1.0, [True]),
        ("another", 9.0, 0.99, [False]),
    ],
)
def test_the_limits_of_each_peer(title: str, mean: float, worst: float, met: list[bool]) -> None:
    ratios = (ratio(title, worst, SMALL), ratio(title, 2 * mean, LARGE), ratio(title, mean, None))
    observed = [limit for limit in latency_limits({title: ratios}) if limit.observed is not None]
    assert [bool(limit) for limit in observed] == met


def test_the_slowest_shape_of_all_peers_counts() -> None:
    peers = {
        title: (ratio(title, value, SMALL), ratio(title, 2.0, None))
        for title, value in {"one": 1.5, "another": 0.9}.items()
    }
    assert latency_limits(peers)[-1].observed == 0.9


def test_without_a_mean_nothing_is_observed() -> None:
    one_shape = (ratio(OPTIMUM, 9.0, SMALL),)
    assert {limit.observed for limit in latency_limits({EAGER: one_shape, OPTIMUM: one_shape})} == {None}


def test_what_was_not_measured_is_not_met() -> None:
    assert not any(latency_limits({}))
    assert not any(build_limits(None, None, None, None))
    assert not Limit(what="anything", observed=None, at_most=1.0)


def test_builds_are_compared_by_their_medians() -> None:
    own, optimum = (
        BuilderCosts(costs=tuple(BuildCost(seconds=value, peak_bytes=1) for value in seconds))
        for seconds in ((1.0, 9.0, 2.0), (4.0, 3.0, 90.0))
    )
    assert build_limits(None, own, optimum, None)[-1].observed == pytest.approx(50.0)
