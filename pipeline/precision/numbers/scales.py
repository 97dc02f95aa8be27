"""Scales of 8-bit numbers: a value is nearly scale x (number - zero point)."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir

Float32 = npt.NDArray[np.float32]
# Smaller fp16 numbers are subnormal: rounding a scale there may change it by as much as its own size
SMALLEST_HALF = float(np.finfo(np.float16).smallest_normal)


class ActivationRange(Protocol):
    """How the values of one activation become 8-bit numbers."""

    @property
    def scale(self) -> np.float32:
        """The value that the number 1 stands for."""
        ...

    @property
    def zero_point(self) -> np.generic | npt.NDArray[np.generic]:
        """The number that stands for zero, in the type of the numbers."""
        ...

    @property
    def dtype(self) -> onnx_ir.DataType:
        """The type of the numbers in a graph."""
        ...


def nonzero(scales: npt.ArrayLike) -> Float32:
    """`scales` as float32, with 1 in place of zero and of subnormal numbers: every value then becomes zero."""
    rounded = np.asarray(scales, dtype=np.float32)
    return np.where(rounded < np.finfo(np.float32).tiny, np.float32(1), rounded)


def rounded_up_to_half(scales: npt.ArrayLike) -> Float32:
    """`scales` as float32 numbers that fp16 holds exactly.

    They are rounded up, so that the largest value still fits, and to 6.1e-5 at least, fp16's smallest normal number.
    That raised scale changes a value by at most 3.1e-5, half of the scale; fp16 itself is as coarse at 0.06.

    Raises OverflowError for a scale beyond fp16.
    """
    wanted = np.maximum(np.asarray(scales, dtype=np.float32), np.float32(SMALLEST_HALF))
    with np.errstate(over="ignore"):
        halves = wanted.astype(np.float16)
    short = halves.astype(np.float32) < wanted
    raised: Float32 = np.where(short, np.nextafter(halves, np.float16(np.inf)), halves).astype(np.float32)
    if not np.isfinite(raised).all():
        raise OverflowError(f"a scale of {wanted.max()} is beyond fp16, which ends at 65504")
    return raised
