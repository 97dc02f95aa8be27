"""The 8-bit numbers that weights are rounded to: integers, and ONNX's floating-point FLOAT8E4M3FN."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.precision.numbers.integers import LARGEST

Float32 = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A set of numbers that is symmetric about zero."""

    name: str
    """Begins the names of the zero points in a graph."""
    dtype: onnx_ir.DataType
    """The type of the numbers in a graph."""
    largest: float
    """The number that the largest magnitude of a channel becomes."""
    round: Callable[[Float32], Numbers]
    """Rounds values from -largest to largest to the nearest numbers; it may overwrite its argument."""
    pairs_fit: bool = False
    """Whether pairs of numbers are bounded too, as `pipeline.precision.weights.pairs` does it."""

    @property
    def zero(self) -> Numbers:
        """Zero as an array without axes."""
        return self.round(np.zeros((), dtype=np.float32))


def _integers(scaled: Float32) -> Numbers:
    return np.rint(scaled, out=scaled).astype(np.int8)


def _e4m3(scaled: Float32) -> Numbers:
    return scaled.astype(ml_dtypes.float8_e4m3fn)


INTEGERS: Mapping[int, Grid] = {
    bits: Grid(name="int8", dtype=onnx_ir.DataType.INT8, largest=largest, round=_integers)
    for bits, largest in LARGEST.items()
}
"""Signed integers by their number of bits."""

PAIRED_INTEGERS = replace(INTEGERS[8], pairs_fit=True)
"""Signed integers of 8 bits whose pairs are bounded."""


def integers(bits: int, *, exact_pairs: bool) -> Grid:
    """The integers of `bits` bits; with `exact_pairs`, which needs 8 bits, their pairs are bounded."""
    return PAIRED_INTEGERS if exact_pairs else INTEGERS[bits]


E4M3 = Grid(
    name="e4m3",
    dtype=onnx_ir.DataType.FLOAT8E4M3FN,
    # A sixteenth of e4m3's largest number, 448. TensorRT sums a product in fp16 before it applies the scales, so the
    # sum must stay far below 65,504. A power of two costs precision in the smallest numbers only.
    largest=28.0,
    round=_e4m3,
)
