"""8-bit floating-point numbers, e4m3, that stand for the values of an activation: one scale and no zero point.

Source: Micikevicius et al. 2022, "FP8 Formats for Deep Learning"; ONNX calls the type FLOAT8E4M3FN.
"""

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.precision.numbers.scales import nonzero

LARGEST = 448.0
"""The largest e4m3 number; QuantizeLinear saturates there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class E4M3Range:
    """The values that e4m3 numbers stand for, as far below zero as above."""

    largest: float
    """The value that the largest e4m3 number stands for; larger values become it."""

    @property
    def scale(self) -> np.float32:
        """The value that the number 1 stands for; 1 where the range is empty."""
        return np.float32(nonzero(self.largest / LARGEST))

    @property
    def zero_point(self) -> npt.NDArray[np.generic]:
        """Zero, whose type tells QuantizeLinear which numbers to write."""
        return np.zeros((), dtype=ml_dtypes.float8_e4m3fn)

    @property
    def dtype(self) -> onnx_ir.DataType:
        """The type of the numbers in a graph."""
        return onnx_ir.DataType.FLOAT8E4M3FN


def round_trip(values: npt.NDArray[np.float64], largest: float) -> npt.NDArray[np.float64]:
    """`values` after rounding to e4m3 numbers of which the largest stands for `largest`."""
    scale = largest / LARGEST
    numbers = np.clip(values / scale, -LARGEST, LARGEST).astype(ml_dtypes.float8_e4m3fn)
    restored: npt.NDArray[np.float64] = numbers.astype(np.float64) * scale
    return restored
