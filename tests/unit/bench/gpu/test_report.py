"""The limits of an engine, on made-up samples."""

import pytest

from bench.gpu.report import EAGER, LARGE, SDPA, engine_limits
from bench.models.sizes import operations
from tests.unit.bench.gpu.reports import CEILING, ENGINE, report

# Medians of 20 rounds with a noise of a thousandth
NOISE = 0.01


def test_the_limits_of_our_engine() -> None:
    over_ceiling, over_eager = report().limits
    assert over_ceiling.observed == pytest.approx(0.8e-3 * CEILING / operations(LARGE), rel=NOISE)
    assert over_ceiling
    assert over_eager.observed == pytest.approx(4.0, rel=NOISE)
    assert over_eager


def test_a_slower_engine_misses_them() -> None:
    timing = report().contest.timing
    assert not engine_limits(timing, ENGINE, 2 * CEILING)[0]
    assert not engine_limits(timing, SDPA, CEILING)[1]


def test_without_an_engine_or_eager_nothing_is_observed() -> None:
    assert {limit.observed for limit in report((EAGER, SDPA)).limits} == {None}
    assert report((SDPA, ENGINE)).limits[1].observed is None
