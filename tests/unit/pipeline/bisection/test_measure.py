"""Noise as a share of the signal's energy, by hand."""

import numpy as np
import pytest

from pipeline.bisection.measure import Noise, decibels


def test_noise_adds_up_over_batches() -> None:
    noise = Noise()
    noise.add(np.float32([3.0, 4.0]), np.float32([3.0, 4.5]))
    noise.add(np.float32([[1.0], [0.0]]), np.float32([[1.0], [-0.5]]))
    # (0.25 + 0.25) / (25 + 1)
    assert noise.share == pytest.approx(0.5 / 26)


def test_exact_values_have_no_noise() -> None:
    noise = Noise()
    noise.add(np.float32([1.0, 2.0]), np.float32([1.0, 2.0]))
    assert noise.share == 0.0
    assert decibels(noise.share) is None


def test_an_error_where_nothing_is_expected_is_all_noise() -> None:
    noise = Noise()
    noise.add(np.float32([0.0]), np.float32([0.0]))
    assert noise.share == 0.0
    noise.add(np.float32([0.0]), np.float32([1e-3]))
    assert noise.share == 1.0


@pytest.mark.parametrize(("share", "expected"), [(1.0, 0.0), (0.1, 10.0), (1e-3, 30.0), (4.0, -6.0206)])
def test_decibels(share: float, expected: float) -> None:
    assert decibels(share) == pytest.approx(expected, abs=1e-4)
