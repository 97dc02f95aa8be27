"""Pairs of 8-bit weights that fit 16 bits, and what that costs in accuracy."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.precision.numbers.grids import INTEGERS, PAIRED_INTEGERS, integers
from pipeline.precision.weights import pairs, rounding


def sums(numbers: np.ndarray) -> np.ndarray:
    """The largest magnitude of a sum of neighbours (rows, inputs) that an unsigned activation can choose."""
    wide = numbers.astype(np.int64)
    if wide.shape[1] % 2:
        wide = np.pad(wide, ((0, 0), (0, 1)))
    first, second = wide[:, ::2], wide[:, 1::2]
    positive = np.maximum(first, 0) + np.maximum(second, 0)
    negative = np.maximum(-first, 0) + np.maximum(-second, 0)
    return np.maximum(positive, negative)


def weights(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("inputs", [1, 2, 7, 64])
def test_all_pairs_of_a_channel_fit(inputs: int, axis: int) -> None:
    matrix = weights(32, inputs) if axis == 0 else weights(inputs, 32)
    numbers, scales = rounding.quantize("layer", matrix, axis=axis, grid=PAIRED_INTEGERS)
    assert (numbers.shape, numbers.dtype, scales.shape) == (matrix.shape, np.int8, (32,))
    assert sums(numbers if axis == 0 else numbers.T).max() <= pairs.LARGEST_SUM
    assert pairs.LARGEST_SUM * 255 <= np.iinfo(np.int16).max < (pairs.LARGEST_SUM + 1) * 255


@given(arrays.arrays(np.float32, (3, 6), elements=st.floats(-1, 1, width=32)))
@example(np.full((3, 6), 8.4e-38, dtype=np.float32))
def test_whatever_the_weights_are(matrix: np.ndarray) -> None:
    numbers, scales = rounding.quantize("layer", matrix, axis=0, grid=PAIRED_INTEGERS)
    assert sums(numbers).max() <= pairs.LARGEST_SUM
    assert np.isfinite(scales).all()
    assert (scales > 0).all()
    errors = np.abs(numbers * scales[:, None] - matrix).max(axis=1)
    largest = np.abs(matrix).max(axis=1)
    # No worse than a step of 7 bits, and two more where a pair is made smaller; a channel too small for a scale is zero
    too_small = largest / 127 < np.finfo(np.float32).tiny
    assert (errors <= np.where(too_small, largest, 4 * largest / 127)).all()


def test_the_error_lies_between_those_of_8_and_of_7_bits_and_nearer_to_8() -> None:
    matrix = weights(768, 256)
    eight, paired, seven = (
        np.sqrt(rounding.mean_squared_error(matrix, axis=1, grid=grid))
        for grid in (INTEGERS[8], PAIRED_INTEGERS, INTEGERS[7])
    )
    assert eight < paired < 1.5 * eight
    assert seven > 1.9 * eight


def test_a_channel_whose_pairs_fit_has_the_numbers_of_8_bits() -> None:
    matrix = weights(16, 64)
    matrix[:, 1::2] = 0
    expected, scales = rounding.quantize("layer", matrix, axis=0, grid=INTEGERS[8])
    numbers, paired_scales = rounding.quantize("layer", matrix, axis=0, grid=PAIRED_INTEGERS)
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_array_equal(paired_scales, scales)


def test_a_channel_of_zeros_stays_zero() -> None:
    numbers, scales = rounding.quantize("layer", np.zeros((2, 4), np.float32), axis=0, grid=PAIRED_INTEGERS)
    assert not numbers.any()
    np.testing.assert_array_equal(scales, 1)


def test_scales_that_fp16_holds() -> None:
    matrix = weights(64, 64) * 0.02
    numbers, scales = rounding.quantize("layer", matrix, axis=0, grid=PAIRED_INTEGERS, half_scales=True)
    np.testing.assert_array_equal(scales.astype(np.float16).astype(np.float32), scales)
    assert sums(numbers).max() <= pairs.LARGEST_SUM


def test_many_channels_are_quantized_as_each_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = weights(10, 8)
    expected = rounding.quantize("layer", matrix, axis=0, grid=PAIRED_INTEGERS)
    monkeypatch.setattr(pairs, "_CHANNELS", 3)
    for actual, wanted in zip(
        rounding.quantize("layer", matrix, axis=0, grid=PAIRED_INTEGERS), expected, strict=True
    ):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ((127, 127), (63 + 1, 64)),
        ((-127, -127), (-64, -64)),
        ((127, -127), (127, -127)),
        ((100, 28), (100, 28)),
        ((100, 30), (99, 29)),
        ((29, 100), (29, 99)),
        ((-100, -29), (-99, -29)),
        ((127, 0), (127, 0)),
    ],
)
def test_a_pair_gives_up_no_more_than_it_must(pair: tuple[int, int], expected: tuple[int, int]) -> None:
    (bounded,) = pairs.bounded(np.array([pair], np.float32))
    assert tuple(bounded) == expected


def test_integers_are_paired_on_request() -> None:
    assert integers(8, exact_pairs=True) is PAIRED_INTEGERS
    assert integers(7, exact_pairs=False) is INTEGERS[7]
