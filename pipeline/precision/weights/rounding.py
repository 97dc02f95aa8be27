"""Weights as 8-bit numbers, symmetric about zero, with one scale for each channel."""

import numpy as np
import numpy.typing as npt

from pipeline.errors import StageError
from pipeline.precision.numbers.grids import Grid, Numbers
from pipeline.precision.numbers.scales import nonzero, rounded_up_to_half
from pipeline.precision.weights import pairs

Float32 = npt.NDArray[np.float32]


def quantize(
    name: str, array: Float32, *, axis: int, grid: Grid, half_scales: bool = False
) -> tuple[Numbers, Float32]:
    """The matrix `array` as numbers of `grid`, and one scale for each index of `axis`: number x scale is the weight.

    A weight is off by at most half a scale where numbers are integers, by a sixteenth of itself where they are e4m3.
    The scale is the largest magnitude of the channel over the largest number of the grid; where pairs of numbers are
    bounded, it is a little larger, and a few weights are off by more. With `half_scales`, it is first rounded to one
    that fp16 holds, so that the numbers fit it. A channel whose scale would be zero or subnormal becomes zeros. Raises
    StageError, naming `name`, for NaN or infinity.
    """
    largest = np.abs(array).max(axis=1 - axis)
    if not np.isfinite(largest).all():
        raise StageError(
            "quantize",
            f"the weight of {name} holds NaN or infinity in {int((~np.isfinite(largest)).sum())} of its channels",
            hint="the checkpoint is damaged: train or copy it again",
        )
    if grid.pairs_fit:
        return pairs.quantize(array, axis=axis, half_scales=half_scales)
    scales = nonzero(largest / np.float32(grid.largest))
    if half_scales:
        scales = rounded_up_to_half(scales)
    return grid.round(array / _along(scales, axis)), scales


def mean_squared_error(array: Float32, *, axis: int, grid: Grid) -> float:
    """The mean squared error of `array` after `quantize` with scales along `axis`."""
    numbers, scales = quantize("", array, axis=axis, grid=grid)
    restored = numbers.astype(np.float32) * _along(scales, axis)
    return float(np.square(np.subtract(restored, array, out=restored), out=restored).mean(dtype=np.float64))


def _along(scales: Float32, axis: int) -> Float32:
    """`scales` with a second axis, so that they multiply a matrix along `axis`."""
    return scales[:, None] if axis == 0 else scales[None, :]
