"""8-bit integers that stand for the values of a range: unsigned with a zero point, or signed about zero."""

from dataclasses import dataclass

import numpy as np
import onnx_ir

from pipeline.precision.numbers.scales import nonzero

LEVELS = 255
"""Steps between the lowest and the highest unsigned 8-bit number."""

LARGEST = {8: 127, 7: 63}
"""The largest magnitude of a signed number, by its bits.

-128 is left out, so that a value and its negative are equally exact. With 63 the sum of two products with unsigned
8-bit numbers, 2 x 255 x 63 = 32,130, fits 16 bits: CPUs without VNNI add pairs there.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerRange:
    """The values that 8-bit integers stand for; zero lies among them and is exact."""

    low: float
    """The lowest value, at most zero; minus `high` where signed."""
    high: float
    """The highest value, at least zero."""
    signed: bool = False
    """Whether numbers are signed with the zero point 0, or unsigned with a zero point from 0 to 255."""
    bits: int = 8
    """Bits of a signed number, 8 or 7; unsigned ones have 8."""

    def symmetric(self, bits: int = 8) -> "IntegerRange":
        """The smallest signed range that holds all of this one."""
        largest = max(-self.low, self.high)
        return IntegerRange(low=-largest, high=largest, signed=True, bits=bits)

    @property
    def scale(self) -> np.float32:
        """The step between two neighbouring numbers; 1 where the range is empty."""
        levels = 2 * LARGEST[self.bits] if self.signed else LEVELS
        return np.float32(nonzero((self.high - self.low) / levels))

    @property
    def dtype(self) -> onnx_ir.DataType:
        """The type of the numbers in a graph."""
        return onnx_ir.DataType.INT8 if self.signed else onnx_ir.DataType.UINT8

    @property
    def zero_point(self) -> np.uint8 | np.int8:
        """The number that stands for zero."""
        if self.signed:
            return np.int8(0)
        return np.uint8(np.clip(np.rint(-self.low / float(self.scale)), 0, LEVELS))
