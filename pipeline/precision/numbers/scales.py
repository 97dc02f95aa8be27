"""Scales of 8-bit numbers: a value is nearly scale x (number - zero point)."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.errors import StageError

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

    Raises StageError for a scale beyond fp16.
    """
    given = np.asarray(scales)
    with np.errstate(over="ignore"):
        wanted = np.maximum(given.astype(np.float32), np.float32(SMALLEST_HALF))
        halves = wanted.astype(np.float16)
        next_halves = np.nextafter(halves, np.float16(np.inf))
    short = halves.astype(np.float32) < wanted
    raised: Float32 = np.where(short, next_halves, halves).astype(np.float32)
    if not np.isfinite(raised).all():
        raise StageError(
            "quantize",
            f"a scale of {given.max():.6g} is beyond fp16, which ends at 65504",
            hint="exclude the layers with the largest weights or activations, or take a scheme whose scales are fp32, "
            "such as int8_static",
        )
    return raised
