"""Weights as 8-bit numbers, symmetric about zero, with one scale a channel."""

import numpy as np
import numpy.typing as npt

from pipeline.errors import StageError
from pipeline.precision.ranges.grids import Grid, Numbers
from pipeline.precision.ranges.scales import in_half

Float32 = npt.NDArray[np.float32]


def quantize(
    name: str, array: npt.NDArray[np.float32], *, axis: int, grid: Grid, half: bool = False
) -> tuple[Numbers, Float32]:
    """A matrix and one scale for each index of `axis`, so that matrix times scale is nearly `array`: to half a scale
    where numbers are whole, to a sixteenth of each number where they are e4m3.

    Scale: largest magnitude of the channel over the grid's largest; with `half` one that fp16 holds, rounded before the
    numbers are, so that they fit it. Raises StageError, naming `name`, for NaN or infinity.
    """
    largest = np.abs(array).max(axis=1 - axis)
    if not np.isfinite(largest).all():
        raise StageError(
            "quantize",
            f"the weight of {name} holds NaN or infinity in {int((~np.isfinite(largest)).sum())} of its channels",
            hint="the checkpoint is damaged: train or copy it again",
        )
    scales: Float32 = (largest / np.float32(grid.largest)).astype(np.float32)
    # A channel of zeros, or of numbers so small that the scale is none, is stored as zeros.
    scales[scales < np.finfo(np.float32).tiny] = 1.0
    if half:
        scales = in_half(scales)
    spread = scales[:, None] if axis == 0 else scales[None, :]
    return grid.round(array / spread), scales


def error(array: npt.NDArray[np.float32], *, axis: int, grid: Grid) -> float:
    """Mean squared error that scales along `axis` would leave, without storing the result."""
    numbers, scales = quantize("", array, axis=axis, grid=grid)
    back = numbers.astype(np.float32) * (scales[:, None] if axis == 0 else scales[None, :])
    return float(np.square(np.subtract(back, array, out=back), out=back).mean(dtype=np.float64))
