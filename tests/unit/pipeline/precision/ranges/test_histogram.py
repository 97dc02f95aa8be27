"""A histogram filled batch by batch is that of all values at once."""

import numpy as np
import pytest

from pipeline.precision.ranges.histogram import BINS, SAMPLED_VALUES, Histogram


def histogram(*batches: np.ndarray) -> Histogram:
    filled = Histogram()
    for batch in batches:
        filled.add(batch, float(np.abs(batch).max(initial=0.0)))
    return filled


def normal(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def test_it_counts_as_numpy_does() -> None:
    values = normal(50_000)
    filled = histogram(values)
    assert filled.bound == 8.0
    expected, edges = np.histogram(values, bins=BINS, range=(-8.0, 8.0))
    np.testing.assert_array_equal(filled.counts, expected)
    np.testing.assert_allclose(filled.edges, edges, rtol=0, atol=1e-12)  # float64


def test_larger_values_later_give_the_same_bound_and_counts_to_a_bin() -> None:
    batches = [normal(800, seed) * np.float32(factor) for seed, factor in enumerate((0.01, 50.0, 3.0))]
    apart, together = histogram(*batches), histogram(np.concatenate(batches))
    assert apart.bound == together.bound
    assert apart.counts.sum() == together.counts.sum() == 2400
    # Doubling merges neighbours exactly, so no value moves to another bin
    np.testing.assert_array_equal(apart.counts, together.counts)


def test_numbers_that_are_hardly_more_than_zero_are_counted_near_it() -> None:
    values = normal(8000) * np.float32(1e-41)
    filled = histogram(values)
    assert filled.bound == 2.0**-100
    assert filled.counts.sum() == filled.counts[BINS // 2 - 1 : BINS // 2 + 1].sum() == 8000


def test_zeros_before_any_other_value_are_counted_at_zero() -> None:
    filled = histogram(np.zeros(80, dtype=np.float32), normal(8000))
    assert filled.counts.sum() == 8080
    assert filled.counts[BINS // 2] >= 80
    only_zeros = histogram(np.zeros(80, dtype=np.float32))
    assert (only_zeros.bound, only_zeros.counts.sum()) == (0.0, 80)


def test_the_extremes_are_inside() -> None:
    filled = histogram(np.array([-4.0, 4.0, 1.0], dtype=np.float32))
    assert filled.bound == 4.0
    assert (filled.counts[0], filled.counts[-1]) == (1, 1)


def test_a_large_batch_is_sampled_evenly() -> None:
    values = np.repeat(np.float32([-1.0, 0.25, 0.75, 1.0]), SAMPLED_VALUES)
    filled = histogram(values)
    counts = filled.counts[filled.counts > 0]
    assert len(counts) == 4
    assert SAMPLED_VALUES // 2 < counts.sum() <= SAMPLED_VALUES
    assert counts.max() - counts.min() <= 1


def test_every_channel_of_a_sampled_batch_is_seen() -> None:
    """A step of 4 through rows of 8 channels would look at two of them."""
    channels = np.arange(1, 9, dtype=np.float32)
    filled = histogram(np.tile(channels, (SAMPLED_VALUES // 2, 1)))
    middles, _ = filled.middles(1)
    # The width of a bin, 16 / BINS
    np.testing.assert_allclose(middles, channels, rtol=0, atol=16 / BINS)


@pytest.mark.parametrize("merged", [1, 4])
def test_middles_and_counts_of_the_filled_bins(merged: int) -> None:
    middles, counts = histogram(np.float32([-3.0, 0.1, 0.1, 2.0])).middles(merged)
    width = 8.0 / BINS * merged
    np.testing.assert_array_equal(counts, [1, 2, 1])
    np.testing.assert_allclose(middles, [-3.0, 0.1, 2.0], rtol=0, atol=width / 2 * 1.001)
