"""Ranges of activations from statistics that were gathered batch by batch."""

import numpy as np
import pytest

from pipeline.errors import StageError, UsageError
from pipeline.precision.ranges import entropy
from pipeline.precision.ranges.ranges import PERCENTILE, Range, Statistics
from pipeline.recipe.plan import CALIBRATIONS


def gathered(*batches: np.ndarray, histogram: bool = True) -> Statistics:
    found = Statistics("x", histogram=histogram)
    for batch in batches:
        found.add(batch.astype(np.float32).reshape(-1, batch.shape[-1]))
    return found


def normal(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)


@pytest.mark.parametrize("method", CALIBRATIONS)
@pytest.mark.parametrize("shift", [-20.0, 0.0, 20.0])
def test_zero_is_exact(method: str, shift: float) -> None:
    found = gathered(normal(200) + shift).range(method)
    assert found.low <= 0 <= found.high
    assert 0 <= int(found.zero_point) <= 255
    levels = (np.arange(256) - float(found.zero_point)) * float(found.scale)
    assert 0.0 in levels


@pytest.mark.parametrize("method", CALIBRATIONS)
@pytest.mark.parametrize("shift", [-20.0, 0.0, 20.0])
def test_a_signed_range_is_symmetric_and_no_narrower_than_it_says(method: str, shift: float) -> None:
    values = normal(200) + shift
    found = gathered(values).range(method, signed=True)
    assert found.low == -found.high
    assert found.zero_point == 0
    assert found.zero_point.dtype == np.int8
    assert float(found.scale) == pytest.approx(found.high / 127)
    assert found.high <= np.abs(values).max()
    if method == "minmax":
        assert found.high == np.abs(values).max()


def test_mse_chooses_a_signed_end_that_loses_less_than_the_whole_range() -> None:
    values = normal(20_000)
    values[0, 0] = 60.0
    statistics = gathered(values)

    def loss(found: Range) -> float:
        numbers = np.clip(np.rint(values / found.scale), -127, 127)
        return float(np.square(numbers * found.scale - values).mean())

    chosen = loss(statistics.range("mse", signed=True))
    assert chosen < loss(statistics.range("minmax", signed=True))
    assert chosen < loss(statistics.range("entropy", signed=True))


def test_minmax_is_the_extremes() -> None:
    found = gathered(np.array([[-1.0, 2.0]]), np.array([[3.0, -0.5]]), histogram=False).range("minmax")
    assert found == Range(low=-1.0, high=3.0)
    assert found.scale == np.float32(4 / 255)
    assert int(found.zero_point) == 64


def test_percentile_leaves_out_as_much_as_it_says() -> None:
    values = np.concatenate([normal(50_000), np.full((2, 8), 1000.0, dtype=np.float32)])
    found = gathered(values).range("percentile")
    inside = float(((values >= found.low) & (values <= found.high)).mean())
    assert inside == pytest.approx(PERCENTILE, abs=3e-5)
    assert 3 < found.high < 6


def test_entropy_cuts_an_outlier_off_and_keeps_a_flat_distribution_whole() -> None:
    bulk = normal(20_000)
    bulk[0, 0] = 60.0
    assert gathered(bulk).range("entropy").high < 30
    flat = np.linspace(-4, 4, 160_000, dtype=np.float32).reshape(-1, 8)
    found = gathered(flat).range("entropy")
    assert found.high > 3.9
    assert found.low < -3.9


def test_one_pass_equals_one_batch_whatever_the_order() -> None:
    batches = [normal(100, seed) * factor for seed, factor in enumerate((0.01, 50.0, 3.0))]
    together = gathered(np.concatenate(batches[::-1]))
    apart = gathered(*batches)
    assert apart.bound == together.bound
    assert apart.counts is not None
    assert apart.counts.sum() == 3 * 800
    for method in CALIBRATIONS:
        found, expected = apart.range(method), together.range(method)
        # Merging bins rounds what the first, narrower histogram counted into a neighbouring bin at most.
        assert found.high == pytest.approx(expected.high, rel=1e-3)
        assert found.low == pytest.approx(expected.low, rel=1e-3)


def test_zeros_first_do_not_spoil_the_histogram() -> None:
    found = gathered(np.zeros((10, 8)), normal(1000))
    assert found.counts is not None
    assert found.counts.sum() == 1010 * 8
    assert found.range("percentile").high > 2


def test_an_activation_that_is_always_zero_has_a_scale() -> None:
    for method in CALIBRATIONS:
        found = gathered(np.zeros((10, 8))).range(method)
        assert found.scale == 1
        assert int(found.zero_point) == 0


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error(broken: float) -> None:
    values = normal(10)
    values[3, 3] = broken
    with pytest.raises(StageError, match="x holds NaN or infinity"):
        gathered(values)


def test_no_value_is_an_error() -> None:
    with pytest.raises(StageError, match="gave no value for x"):
        gathered().range("minmax")


def test_an_unknown_method_is_an_error() -> None:
    with pytest.raises(UsageError, match="unknown calibration 'max'"):
        gathered(normal(3)).range("max")


def test_entropy_divergence_is_none_for_what_256_levels_hold() -> None:
    counts = np.zeros(1024, dtype=np.int64)
    counts[256:512] = 7
    low, high = entropy.entropy_range(counts, 2.0, -1.0, 0.0)
    assert (low, high) == (-1.0, 0.0)
