"""The 8-bit numbers that weights are stored as: whole ones, and floating ones of NVIDIA's and ONNX's e4m3 kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir

Float32 = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A kind of numbers, symmetric about zero. `largest` is the one that a channel's largest magnitude becomes.

    round: float32 within plus and minus `largest`, which it may overwrite, to the nearest numbers of the kind.
    """

    name: str
    dtype: onnx_ir.DataType
    largest: float
    round: Callable[[Float32], Numbers]

    @property
    def zero(self) -> npt.NDArray[np.generic]:
        """The number that stands for zero, as an array without axes."""
        return self.round(np.zeros((), dtype=np.float32))


def _whole(scaled: Float32) -> Numbers:
    return np.rint(scaled, out=scaled).astype(np.int8)


def _e4m3(scaled: Float32) -> Numbers:
    return scaled.astype(ml_dtypes.float8_e4m3fn)


# The largest magnitude. -128 is left out, so that a weight and its negative are equally exact. 63 keeps the sum of two
# products with an unsigned 8-bit number, 2 x 255 x 63 = 32,130, within 16 bits: CPUs without VNNI add pairs there.
LARGEST = {8: 127, 7: 63}

INTEGERS: Mapping[int, Grid] = {
    bits: Grid(name="int8", dtype=onnx_ir.DataType.INT8, largest=largest, round=_whole)
    for bits, largest in LARGEST.items()
}
"""Whole numbers by how many bits they have."""

E4M3 = Grid(
    name="e4m3",
    dtype=onnx_ir.DataType.FLOAT8E4M3FN,
    # A sixteenth of the 448 that there are. Scaling by a power of two loses nothing but at the very small end, while
    # TensorRT keeps a product's sum in fp16 before it applies these scales: the sum must stay far below 65,504.
    largest=28.0,
    round=_e4m3,
)
