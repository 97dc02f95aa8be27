"""e4m3 numbers against all 253 that there are."""

import ml_dtypes
import numpy as np
import onnx_ir

from pipeline.precision.numbers import e4m3, grids

NUMBERS = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
FINITE = np.unique(NUMBERS[np.isfinite(NUMBERS)])


def nearest(values: np.ndarray) -> np.ndarray:
    """The distance of each value to the nearest e4m3 number."""
    return np.abs(np.asarray(values, dtype=np.float64)[..., None] - FINITE).min(axis=-1)


def test_the_largest_number_is_448() -> None:
    assert FINITE.max() == e4m3.LARGEST == 448
    assert len(FINITE) == 253


def test_a_range_by_hand() -> None:
    wide = e4m3.E4M3Range(largest=7.0)
    assert wide.scale == np.float32(7 / 448)
    assert wide.dtype == onnx_ir.DataType.FLOAT8E4M3FN
    assert wide.zero_point.dtype == ml_dtypes.float8_e4m3fn
    assert e4m3.E4M3Range(largest=0.0).scale == 1


def test_a_round_trip_goes_to_the_nearest_number_and_saturates() -> None:
    values = np.linspace(-10.0, 10.0, 2001)
    restored = e4m3.round_trip(values, 7.0)
    scale = 7.0 / 448
    inside = np.abs(values) <= 7.0
    np.testing.assert_allclose(
        np.abs(restored - values)[inside] / scale,
        nearest(values[inside] / scale),
        atol=1e-9,  # rounding of float64, with numbers up to 448
    )
    np.testing.assert_array_equal(restored[~inside], np.sign(values[~inside]) * 7.0)


def test_a_weight_in_the_grid_becomes_the_nearest_number() -> None:
    scaled = np.random.default_rng(0).uniform(-28, 28, 1000).astype(np.float32)
    numbers = grids.E4M3.round(scaled.copy())
    assert numbers.dtype == ml_dtypes.float8_e4m3fn
    np.testing.assert_array_equal(np.abs(scaled - numbers.astype(np.float64)), nearest(scaled))
