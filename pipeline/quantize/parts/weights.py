"""Weights as 8-bit or 7-bit whole numbers, symmetric about zero, with one scale a channel."""

import numpy as np
import numpy.typing as npt

from pipeline.errors import StageError
from pipeline.quantize.parts.scales import in_half

Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]

# The largest magnitude. -128 is left out, so that a weight and its negative are equally exact. 63 keeps the sum of two
# products with an unsigned 8-bit number, 2 x 255 x 63 = 32,130, within 16 bits: CPUs without VNNI add pairs there.
LARGEST = {8: 127, 7: 63}


def quantize(
    name: str, array: npt.NDArray[np.float32], *, axis: int, bits: int, half: bool = False
) -> tuple[Int8, Float32]:
    """A matrix and one scale for each index of `axis`, so that matrix times scale is `array` to half a scale.

    Scale: largest magnitude of the channel over 127 (8 bits) or 63 (7 bits); with `half` one that fp16 holds, rounded
    before the numbers are, so that they fit it. Raises StageError, naming `name`, for NaN or infinity.
    """
    largest = np.abs(array).max(axis=1 - axis)
    if not np.isfinite(largest).all():
        raise StageError(
            "quantize",
            f"the weight of {name} holds NaN or infinity in {int((~np.isfinite(largest)).sum())} of its channels",
            hint="the checkpoint is damaged: train or copy it again",
        )
    scales: Float32 = (largest / np.float32(LARGEST[bits])).astype(np.float32)
    # A channel of zeros, or of numbers so small that the scale is none, is stored as zeros.
    scales[scales < np.finfo(np.float32).tiny] = 1.0
    if half:
        scales = in_half(scales)
    spread = scales[:, None] if axis == 0 else scales[None, :]
    scaled = array / spread
    return np.rint(scaled, out=scaled).astype(np.int8), scales


def error(array: npt.NDArray[np.float32], *, axis: int, bits: int) -> float:
    """Mean squared error that scales along `axis` would leave, without storing the result."""
    numbers, scales = quantize("", array, axis=axis, bits=bits)
    back = numbers * (scales[:, None] if axis == 0 else scales[None, :])
    return float(np.square(np.subtract(back, array, out=back), out=back).mean(dtype=np.float64))
