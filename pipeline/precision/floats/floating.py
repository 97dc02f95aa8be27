"""Activations as 8-bit floating numbers, e4m3: one scale a tensor, fixed by calibration, and no zero point.

Source: Micikevicius et al. 2022, "FP8 Formats for Deep Learning"; the numbers are ONNX's FLOAT8E4M3FN.
"""

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.errors import StageError, UsageError
from pipeline.precision.ranges.ranges import Statistics
from pipeline.precision.smoothing.least_squares import least_squares_end

METHODS = ("minmax", "mse")
LARGEST = 448.0
"""The largest e4m3 number; QuantizeLinear saturates there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingRange:
    """The magnitude that the largest e4m3 number stands for; what is larger becomes it."""

    largest: float

    @property
    def scale(self) -> np.float32:
        """What 1 stands for; 1 where the range is empty."""
        step = np.float32(self.largest / LARGEST)
        return step if step >= np.finfo(np.float32).tiny else np.float32(1)

    @property
    def zero_point(self) -> npt.NDArray[np.generic]:
        """Zero, whose type says which numbers QuantizeLinear gives."""
        return np.zeros((), dtype=ml_dtypes.float8_e4m3fn)

    @property
    def dtype(self) -> onnx_ir.DataType:
        return onnx_ir.DataType.FLOAT8E4M3FN


def floating_range(seen: Statistics, method: str) -> FloatingRange:
    """The range by "minmax", to the largest magnitude seen, or "mse", to the end that loses the least.

    Raises UsageError for another method, StageError where no value was seen.
    """
    if method not in METHODS:
        raise UsageError(
            f"fp8 has no calibration {method!r}",
            hint=f"one of {', '.join(METHODS)}: the others count steps of one size",
        )
    if seen.channels is None:
        raise StageError(
            "quantize",
            f"the calibration data gave no value for {seen.name}",
            hint="give at least one text that fits the model: --calibration texts.jsonl",
        )
    largest = max(-seen.low, seen.high)
    if method == "mse" and seen.counts is not None:
        return FloatingRange(largest=least_squares_end(seen.counts, seen.bound, largest, _rounded))
    return FloatingRange(largest=largest)


def _rounded(values: npt.NDArray[np.float64], end: float) -> npt.NDArray[np.float64]:
    """`values` as e4m3 numbers whose largest stands for `end` hold them."""
    scale = end / LARGEST
    numbers = np.clip(values / scale, -LARGEST, LARGEST).astype(ml_dtypes.float8_e4m3fn)
    held: npt.NDArray[np.float64] = numbers.astype(np.float64) * scale
    return held
