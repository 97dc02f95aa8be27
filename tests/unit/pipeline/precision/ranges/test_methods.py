"""The ranges that calibration methods choose, against numpy and by hand."""

import ml_dtypes
import numpy as np
import pytest

from pipeline.errors import StageError, UsageError
from pipeline.precision.numbers.integers import IntegerRange
from pipeline.precision.ranges.histogram import BINS
from pipeline.precision.ranges.methods import E4M3_METHODS, e4m3_range, integer_range
from pipeline.precision.ranges.percentile import SHARE
from pipeline.precision.ranges.statistics import Statistics
from pipeline.recipe.plan import CALIBRATIONS

every_method = pytest.mark.parametrize("method", CALIBRATIONS)


def statistics(*batches: np.ndarray, histogram: bool = True) -> Statistics:
    gathered = Statistics("x", histogram=histogram)
    for batch in batches:
        gathered.add(batch.astype(np.float32).reshape(-1, batch.shape[-1]))
    return gathered


def normal(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)


def with_outlier() -> np.ndarray:
    values = normal(20_000)
    values[0, 0] = 60.0
    return values


def loss(values: np.ndarray, chosen: IntegerRange) -> float:
    """The mean squared error of `values` after rounding to the integers of `chosen`."""
    limits = (-127, 127) if chosen.signed else (0, 255)
    numbers = np.clip(np.rint(values / chosen.scale) + int(chosen.zero_point), *limits)
    return float(np.square((numbers - int(chosen.zero_point)) * chosen.scale - values).mean())


@every_method
@pytest.mark.parametrize("shift", [-20.0, 0.0, 20.0])
@pytest.mark.parametrize("signed", [False, True])
def test_zero_is_inside_and_nothing_reaches_beyond_the_extremes(
    method: str, shift: float, signed: bool
) -> None:
    values = normal(200) + np.float32(shift)
    chosen = integer_range(statistics(values), method, signed=signed)
    assert chosen.low <= 0 <= chosen.high
    assert max(-chosen.low, chosen.high) <= np.abs(values).max()
    assert chosen.signed == signed
    if signed:
        assert chosen.low == -chosen.high


def test_minmax_is_the_extremes() -> None:
    gathered = statistics(np.array([[-1.0, 2.0]]), np.array([[3.0, -0.5]]), histogram=False)
    assert integer_range(gathered, "minmax") == IntegerRange(low=-1.0, high=3.0)
    assert integer_range(gathered, "minmax", signed=True) == IntegerRange(low=-3.0, high=3.0, signed=True)
    assert e4m3_range(gathered, "minmax").largest == 3.0


def test_percentile_ends_at_numpys_quantiles() -> None:
    values = np.concatenate([normal(50_000), np.full((2, 8), 1000.0, dtype=np.float32)])
    chosen = integer_range(statistics(values), "percentile")
    # An end is that of a bin: 2 x 1024 / BINS wide, since the bound is 1024
    width = 2 * 1024 / BINS
    for end, quantile in ((chosen.low, (1 - SHARE) / 2), (chosen.high, (1 + SHARE) / 2)):
        assert end == pytest.approx(np.quantile(values, quantile), abs=width)
    inside = float(((values >= chosen.low) & (values <= chosen.high)).mean())
    # A bin at the end may hold 3e-5 of the values
    assert inside == pytest.approx(SHARE, abs=3e-5)


def test_entropy_cuts_an_outlier_off_and_keeps_a_flat_distribution_whole() -> None:
    assert integer_range(statistics(with_outlier()), "entropy").high < 30
    flat = np.linspace(-4, 4, 160_000, dtype=np.float32).reshape(-1, 8)
    chosen = integer_range(statistics(flat), "entropy")
    assert chosen.high > 3.9
    assert chosen.low < -3.9


@pytest.mark.parametrize("signed", [False, True])
def test_mse_loses_less_than_the_other_methods(signed: bool) -> None:
    values = with_outlier()
    gathered = statistics(values)
    losses = {method: loss(values, integer_range(gathered, method, signed=signed)) for method in CALIBRATIONS}
    assert min(losses, key=losses.__getitem__) == "mse", losses


def test_mse_of_e4m3_loses_no_more_than_minmax_and_never_reaches_beyond_it() -> None:
    values = np.random.default_rng(2).uniform(-1, 1, (4096, 4)).astype(np.float32)
    gathered = statistics(values)

    def lost(largest: float) -> float:
        scale = largest / 448
        numbers = np.clip(values / scale, -448, 448).astype(ml_dtypes.float8_e4m3fn)
        return float(np.square(numbers.astype(np.float32) * scale - values).sum())

    whole, chosen = (e4m3_range(gathered, method).largest for method in ("minmax", "mse"))
    assert chosen <= whole == pytest.approx(np.abs(values).max())
    # The method counts a value as the middle of its bin, 1e-4 wide, which moves the loss by less than 1 %
    assert lost(chosen) <= lost(whole) * 1.01


@every_method
@pytest.mark.parametrize("signed", [False, True])
def test_batches_in_another_order_give_the_same_range(method: str, signed: bool) -> None:
    batches = [normal(100, seed) * np.float32(factor) for seed, factor in enumerate((0.01, 50.0, 3.0))]
    forwards = integer_range(statistics(*batches), method, signed=signed)
    assert integer_range(statistics(*batches[::-1]), method, signed=signed) == forwards
    assert integer_range(statistics(np.concatenate(batches)), method, signed=signed) == forwards


@every_method
def test_an_activation_that_is_always_zero_has_an_empty_range(method: str) -> None:
    gathered = statistics(np.zeros((10, 8)))
    assert integer_range(gathered, method) == IntegerRange(low=0.0, high=0.0)
    if method in E4M3_METHODS:
        assert e4m3_range(gathered, method).largest == 0.0


def test_no_value_is_an_error() -> None:
    for choose in (integer_range, e4m3_range):
        with pytest.raises(StageError, match="gave no value for x"):
            choose(statistics(), "minmax")


def test_an_unknown_method_is_an_error() -> None:
    with pytest.raises(UsageError, match="unknown calibration 'max'"):
        integer_range(statistics(normal(3)), "max")


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_e4m3_refuses_methods_that_assume_equal_steps(method: str) -> None:
    with pytest.raises(UsageError, match=rf"fp8 does not take calibration '{method}'\n.*minmax, mse"):
        e4m3_range(statistics(normal(3)), method)
