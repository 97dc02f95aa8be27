"""Weights of 8 bits whose products are exact on processors without VNNI.

There, 8-bit kernels multiply unsigned activations by signed weights, and add the products of two neighbours in 16
bits, where the sum saturates (VPMADDUBSW: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2). Two
weights of 127 reach 2 x 255 x 127, which is twice what fits. But few neighbours are both large and have one sign. So a
channel keeps its 8 bits, with a slightly larger scale, and the few pairs that still do not fit are made smaller.

Neighbours are the inputs 0 and 1 of an output channel, 2 and 3, and so on: kernels read them four at a time.
"""

import numpy as np
import numpy.typing as npt

from pipeline.precision.numbers.integers import LARGEST
from pipeline.precision.numbers.scales import nonzero, rounded_up_to_half

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int8 = npt.NDArray[np.int8]

LARGEST_SUM = 128
"""The most that two neighbours of one sign may sum to: 128 x 255 = 32,640 fits 16 bits, and 129 x 255 does not."""
_STEPS = 5
"""Scales that are tried for a channel."""
_CHANNELS = 4096
"""Channels that are tried at once, so that a vocabulary does not need many copies of itself."""


def quantize(array: Float32, *, axis: int, half_scales: bool = False) -> tuple[Int8, Float32]:
    """The finite matrix `array` as numbers and one scale for each index of `axis`, as `rounding.quantize` has them.

    A scale lies between the smallest one that holds the channel in 8 bits and the smallest one with which all of its
    pairs fit. Of a few scales between them, a channel has the one with the smallest sum of squared errors.
    """
    # (out, in), with the inputs side by side in memory
    rows = np.ascontiguousarray(array if axis == 0 else array.T)
    blocks = [
        _quantize(rows[start : start + _CHANNELS], half_scales=half_scales)
        for start in range(0, len(rows), _CHANNELS)
    ]
    numbers = np.concatenate([block for block, _ in blocks])
    scales = np.concatenate([scale for _, scale in blocks])
    return numbers if axis == 0 else np.ascontiguousarray(numbers.T), scales


def _quantize(rows: Float32, *, half_scales: bool) -> tuple[Int8, Float32]:
    least = np.abs(rows).max(axis=1) / np.float32(LARGEST[8])
    most = np.maximum(least, _largest_sums(rows) / np.float32(LARGEST_SUM))
    best_error = np.full(len(rows), np.inf)
    best_numbers = np.zeros(rows.shape, np.int8)
    best_scales = np.ones(len(rows), np.float32)
    for step in np.linspace(0, 1, _STEPS, dtype=np.float32):
        scales = nonzero(least + (most - least) * step)
        if half_scales:
            scales = rounded_up_to_half(scales)
        numbers = rows / scales[:, None]
        numbers = bounded(np.rint(numbers, out=numbers))
        errors = _squares(numbers * scales[:, None] - rows)
        better = errors < best_error
        best_error[better] = errors[better]
        best_numbers[better] = numbers[better]
        best_scales[better] = scales[better]
    return best_numbers, best_scales


def _largest_sums(rows: Float32) -> Float32:
    """The largest magnitude that two neighbours of one sign sum to, in each row."""
    first, second = _pairs(rows)
    positive = np.maximum(first, 0) + np.maximum(second, 0)
    negative = np.minimum(first, 0) + np.minimum(second, 0)
    sums: Float32 = np.maximum(positive, -negative).max(axis=1, initial=0)
    return sums


def _squares(rows: Float32) -> Float64:
    """The sum of squares of each row."""
    sums: Float64 = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return sums


def bounded(numbers: Float32) -> Float32:
    """Whole numbers (rows, inputs) with magnitudes up to 127, changed in place where two neighbours do not fit.

    What is too much is taken from both alike, and one more from the larger one if it is odd.
    """
    first, second = _pairs(numbers)
    # Of two signs, they sum to less
    rows, places = np.nonzero(np.abs(first + second) > LARGEST_SUM)
    one, other = first[rows, places], second[rows, places]
    excess = np.abs(one + other) - LARGEST_SUM
    half = np.floor(excess / 2)
    one_is_larger = np.abs(one) >= np.abs(other)
    first[rows, places] = one - np.sign(one) * np.where(one_is_larger, excess - half, half)
    second[rows, places] = other - np.sign(other) * np.where(one_is_larger, half, excess - half)
    return numbers


def _pairs(rows: Float32) -> tuple[Float32, Float32]:
    """The first and the second one of all neighbours, as views; an input without a neighbour fits alone."""
    return rows[:, 0 : rows.shape[1] - rows.shape[1] % 2 : 2], rows[:, 1::2]
