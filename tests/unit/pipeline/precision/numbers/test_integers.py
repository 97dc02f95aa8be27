"""Scales and zero points of integer ranges, by hand."""

import numpy as np
import onnx_ir
import pytest

from pipeline.precision.numbers.integers import LARGEST, IntegerRange


def test_an_unsigned_range_by_hand() -> None:
    wide = IntegerRange(low=-1.0, high=3.0)
    assert wide.dtype == onnx_ir.DataType.UINT8
    assert wide.scale == np.float32(4 / 255)
    # 1 / (4 / 255) = 63.75
    assert wide.zero_point == 64
    assert wide.zero_point.dtype == np.uint8


@pytest.mark.parametrize(("bits", "steps"), [(8, 127), (7, 63)])
def test_a_symmetric_range_reaches_the_farther_end(bits: int, steps: int) -> None:
    signed = IntegerRange(low=-1.0, high=3.0).symmetric(bits)
    assert (signed.low, signed.high) == (-3.0, 3.0)
    assert signed.dtype == onnx_ir.DataType.INT8
    assert signed.scale == np.float32(3 / steps)
    assert signed.zero_point == 0
    assert signed.zero_point.dtype == np.int8


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 5.0), (-5.0, 0.0), (-1e-3, 1e3)])
def test_zero_is_exact_and_both_ends_are_within_half_a_step(low: float, high: float) -> None:
    unsigned = IntegerRange(low=low, high=high)
    scale, zero_point = float(unsigned.scale), float(unsigned.zero_point)
    values = (np.arange(256) - zero_point) * scale
    assert 0.0 in values
    # 1e-5 of the range for scales in float32
    assert abs(values[0] - low) <= scale / 2 + 1e-5 * (high - low)
    assert abs(values[-1] - high) <= scale / 2 + 1e-5 * (high - low)


def test_an_empty_range_has_a_scale() -> None:
    empty = IntegerRange(low=0.0, high=0.0)
    assert empty.scale == empty.symmetric().scale == 1
    assert empty.zero_point == 0
    # A step that is subnormal in float32
    assert IntegerRange(low=0.0, high=1e-40).scale == 1


def test_only_7_bit_numbers_cannot_saturate_16_bits() -> None:
    """The instruction vpmaddubsw adds two products of an unsigned and a signed number in 16 bits."""
    largest_sum = {bits: 2 * 255 * largest for bits, largest in LARGEST.items()}
    assert largest_sum[7] <= np.iinfo(np.int16).max < largest_sum[8]
