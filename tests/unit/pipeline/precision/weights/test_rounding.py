"""Weights as 8-bit numbers: the nearest ones, with a scale for each channel."""

import numpy as np
import pytest

from pipeline.errors import StageError
from pipeline.precision.numbers import grids
from pipeline.precision.weights import rounding

ALL_GRIDS = [grids.INTEGERS[8], grids.INTEGERS[7], grids.E4M3]
every_grid = pytest.mark.parametrize("grid", ALL_GRIDS, ids=["int8", "int8 of 7 bits", "e4m3"])


def weight(rows: int = 64, columns: int = 8) -> np.ndarray:
    """A random matrix whose column 3 is zero."""
    matrix = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    matrix[:, 3] = 0.0
    return matrix


def restored(numbers: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float64) * scales


def test_by_hand() -> None:
    matrix = np.array([[1.0, -1.9], [-0.4, 0.1]], dtype=np.float32)
    numbers, scales = rounding.quantize("w", matrix, axis=1, grid=grids.INTEGERS[8])
    np.testing.assert_array_equal(scales, np.float32([1 / 127, 1.9 / 127]))
    # -0.4 x 127 = -50.8, 0.1 / 1.9 x 127 = 6.7
    np.testing.assert_array_equal(numbers, [[127, -127], [-51, 7]])
    numbers, scales = rounding.quantize("w", matrix, axis=0, grid=grids.INTEGERS[7])
    np.testing.assert_array_equal(scales, np.float32([1.9 / 63, 0.4 / 63]))
    # 1 / 1.9 x 63 = 33.2, 0.1 / 0.4 x 63 = 15.75
    np.testing.assert_array_equal(numbers, [[33, -63], [-63, 16]])


@every_grid
@pytest.mark.parametrize("axis", [0, 1])
def test_the_largest_weight_of_a_channel_becomes_the_largest_number(grid: grids.Grid, axis: int) -> None:
    matrix = weight() if axis == 1 else weight().T
    numbers, scales = rounding.quantize("w", matrix, axis=axis, grid=grid)
    largest = np.abs(numbers.astype(np.float64)).max(axis=1 - axis)
    assert scales.shape == (8,)
    assert largest[3] == 0
    assert (np.delete(largest, 3) == grid.largest).all()
    assert scales[3] == 1


@pytest.mark.parametrize("bits", [7, 8])
@pytest.mark.parametrize("half_scales", [False, True])
def test_integers_are_within_half_a_scale(bits: int, half_scales: bool) -> None:
    matrix = weight()
    matrix[:, 2] *= 1e-6
    grid = grids.INTEGERS[bits]
    numbers, scales = rounding.quantize("w", matrix, axis=1, grid=grid, half_scales=half_scales)
    assert np.abs(numbers.astype(int)).max() <= grid.largest
    # float32 rounds the quotient, by 1e-5 of a step at most
    assert (np.abs(restored(numbers, scales) - matrix) <= scales * 0.50001).all()
    if half_scales:
        np.testing.assert_array_equal(scales, scales.astype(np.float16).astype(np.float32))


def test_e4m3_numbers_are_within_a_sixteenth_of_themselves() -> None:
    matrix = weight()
    numbers, scales = rounding.quantize("w", matrix, axis=1, grid=grids.E4M3)
    errors = np.abs(restored(numbers, scales) - matrix)
    # Three bits of mantissa; numbers below 2^-6 have a fixed step of 2^-9
    assert (errors <= np.maximum(np.abs(matrix) / 16, scales * 2**-10) * 1.00001).all()


@every_grid
def test_the_error_is_that_of_the_numbers(grid: grids.Grid) -> None:
    matrix = weight()
    numbers, scales = rounding.quantize("w", matrix, axis=1, grid=grid)
    expected = np.square(restored(numbers, scales) - matrix).mean()
    # The function rounds in float32, with 24 bits
    assert rounding.mean_squared_error(matrix, axis=1, grid=grid) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_errors_with_the_name(broken: float) -> None:
    matrix = weight()
    matrix[1, 2] = matrix[4, 5] = broken
    with pytest.raises(StageError, match="weight of lin1 holds NaN or infinity in 2 of its channels"):
        rounding.quantize("lin1", matrix, axis=1, grid=grids.INTEGERS[8])
