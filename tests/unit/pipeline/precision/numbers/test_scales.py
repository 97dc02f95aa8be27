"""Scales that are never zero, and those that fp16 holds."""

import numpy as np
import pytest

from pipeline.errors import StageError
from pipeline.precision.numbers.scales import SMALLEST_HALF, nonzero, rounded_up_to_half


def test_zero_and_subnormal_scales_become_one() -> None:
    smallest = float(np.finfo(np.float32).tiny)
    np.testing.assert_array_equal(nonzero([0.0, 1e-45, smallest, 0.5]), np.float32([1, 1, smallest, 0.5]))


def test_scales_are_rounded_up_to_normal_numbers_of_fp16() -> None:
    scales = np.array([1e-9, SMALLEST_HALF, 0.01, 0.3, 700.0], dtype=np.float32)
    rounded = rounded_up_to_half(scales)
    assert (rounded == rounded.astype(np.float16).astype(np.float32)).all()
    assert (rounded >= scales).all()
    assert rounded[0] == rounded[1] == np.float32(SMALLEST_HALF)
    # fp16 has 11 significant bits, so neighbouring numbers differ by 2^-10 at most
    np.testing.assert_allclose(rounded[1:], scales[1:], rtol=2**-10)


@pytest.mark.parametrize(
    ("scale", "shown"), [(65505.0, "65505"), (1e6, r"1e\+06"), (1e300, r"1e\+300"), (np.inf, "inf")]
)
@pytest.mark.filterwarnings("error")
def test_a_scale_beyond_fp16_is_an_error(scale: float, shown: str) -> None:
    with pytest.raises(
        StageError, match=rf"a scale of {shown} is beyond fp16, which ends at 65504"
    ) as raised:
        rounded_up_to_half([1.0, scale])
    assert "int8_static" in raised.value.hint
