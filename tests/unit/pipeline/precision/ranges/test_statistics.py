"""Extremes and channels of an activation, gathered batch by batch."""

import numpy as np
import pytest

from pipeline.errors import StageError
from pipeline.precision.ranges.statistics import Statistics


def test_extremes_and_channels_over_all_batches() -> None:
    statistics = Statistics("x", histogram=False)
    statistics.add(np.array([[-1.0, 2.0, 0.5]], dtype=np.float32))
    statistics.add(np.array([[3.0, -0.5, 0.25], [0.0, -4.0, 0.0]], dtype=np.float32))
    assert (statistics.low, statistics.high, statistics.largest) == (-4.0, 3.0, 4.0)
    np.testing.assert_array_equal(statistics.channels, [3.0, 4.0, 0.5])
    assert statistics.histogram is None


def test_zero_is_always_inside() -> None:
    statistics = Statistics("x", histogram=False)
    statistics.add(np.array([[2.0, 3.0]], dtype=np.float32))
    assert (statistics.low, statistics.high) == (0.0, 3.0)


def test_the_histogram_counts_every_value() -> None:
    statistics = Statistics("x", histogram=True)
    for seed in range(3):
        statistics.add(np.random.default_rng(seed).standard_normal((100, 8)).astype(np.float32))
    assert statistics.histogram is not None
    assert statistics.histogram.counts.sum() == 3 * 800


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error(broken: float) -> None:
    values = np.ones((10, 8), dtype=np.float32)
    values[3, 3] = broken
    with pytest.raises(StageError, match="x holds NaN or infinity"):
        Statistics("x", histogram=True).add(values)


@pytest.mark.parametrize("batches", [(), (np.zeros((0, 8), dtype=np.float32),)])
def test_no_value_is_an_error(batches: tuple[np.ndarray, ...]) -> None:
    statistics = Statistics("x", histogram=False)
    for batch in batches:
        statistics.add(batch)
    with pytest.raises(StageError, match="gave no value for x"):
        statistics.require_values()
