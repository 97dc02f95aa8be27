"""Noise as a share of the energy of what varies, by hand."""

import numpy as np
import pytest

from pipeline.bisection.measure import Noise, decibels


def test_noise_adds_up_over_batches() -> None:
    noise = Noise()
    noise.add(np.float32([[3.0], [4.0]]), np.float32([[3.0], [4.5]]), has_channels=True)
    noise.add(np.float32([[1.0], [0.0]]), np.float32([[1.0], [-0.5]]), has_channels=True)
    # The values 3, 4, 1 and 0 have the mean 2: (0.25 + 0.25) / (1 + 4 + 1 + 4)
    assert noise.share == pytest.approx(0.5 / 10)


def test_a_constant_channel_does_not_hide_noise() -> None:
    random = np.random.default_rng(0)
    expected = random.normal(size=(64, 4)).astype(np.float32)
    actual = expected + random.normal(scale=0.1, size=expected.shape).astype(np.float32)
    plain, beside_constant = Noise(), Noise()
    plain.add(expected, actual, has_channels=True)
    for part in (slice(0, 20), slice(20, 64)):
        constant = np.full((len(expected[part]), 1), 1_000.0, np.float32)
        beside_constant.add(
            np.hstack([expected[part], constant]), np.hstack([actual[part], constant]), has_channels=True
        )
    # The sums are in float64; the values around 1,000 are exact in float32
    assert beside_constant.share == pytest.approx(plain.share, rel=1e-6)
    assert plain.share == pytest.approx(0.01, rel=0.3)  # 256 draws


def test_positions_are_not_channels() -> None:
    noise = Noise()
    # Each position is constant over the two texts; what varies is from one position to the next
    noise.add(np.float32([[1.0, 3.0], [1.0, 3.0]]), np.float32([[1.0, 3.0], [1.0, 4.0]]), has_channels=False)
    assert noise.share == pytest.approx(1 / 4)


def test_a_single_row_counts_with_its_values() -> None:
    noise = Noise()
    noise.add(np.float32([[3.0, 4.0]]), np.float32([[3.0, 4.5]]), has_channels=True)
    assert noise.share == pytest.approx(0.25 / 25)


def test_exact_values_have_no_noise() -> None:
    noise = Noise()
    noise.add(np.float32([1.0, 2.0]), np.float32([1.0, 2.0]), has_channels=False)
    assert noise.share == 0.0
    assert decibels(noise.share) is None


def test_an_error_where_nothing_is_expected_is_all_noise() -> None:
    noise = Noise()
    noise.add(np.float32([0.0]), np.float32([0.0]), has_channels=False)
    assert noise.share == 0.0
    noise.add(np.float32([0.0]), np.float32([1e-3]), has_channels=False)
    assert noise.share == 1.0


@pytest.mark.parametrize(("share", "expected"), [(1.0, 0.0), (0.1, 10.0), (1e-3, 30.0), (4.0, -6.0206)])
def test_decibels(share: float, expected: float) -> None:
    assert decibels(share) == pytest.approx(expected, abs=1e-4)
