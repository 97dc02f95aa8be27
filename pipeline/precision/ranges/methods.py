"""The range that a calibration method chooses from the statistics of an activation."""

from pipeline.errors import OptionError
from pipeline.precision.numbers import e4m3
from pipeline.precision.numbers.e4m3 import E4M3Range
from pipeline.precision.numbers.integers import LARGEST, LEVELS, IntegerRange
from pipeline.precision.ranges.entropy import entropy_range
from pipeline.precision.ranges.histogram import Histogram
from pipeline.precision.ranges.least_squares import least_squares_bound, least_squares_range, rounding_bound
from pipeline.precision.ranges.percentile import percentile_range
from pipeline.precision.ranges.statistics import Statistics
from pipeline.recipe.plan import CALIBRATIONS
from pipeline.registry import unknown

E4M3_METHODS = ("minmax", "mse")


def integer_range(statistics: Statistics, method: str, *, signed: bool = False) -> IntegerRange:
    """The range of 8-bit integers by "minmax", "percentile", "entropy" or "mse"; zero is always inside.

    A signed range is symmetric. It reaches to the farther of the two ends that the method chooses, except that "mse"
    tries symmetric ranges only. Raises UsageError for another method, StageError where there is no value.
    """
    if method not in CALIBRATIONS:
        raise unknown("calibration", method, CALIBRATIONS)
    statistics.require_values()
    if method == "minmax":
        whole = IntegerRange(low=statistics.low, high=statistics.high)
        return whole.symmetric() if signed else whole
    histogram = _histogram(statistics)
    if method == "mse" and signed:
        bound = least_squares_bound(histogram, statistics.largest, levels=2 * LARGEST[8])
        return IntegerRange(low=-bound, high=bound, signed=True)
    low, high = _clipped(histogram, method, statistics.low, statistics.high)
    clipped = IntegerRange(low=low, high=high)
    return clipped.symmetric() if signed else clipped


def e4m3_range(statistics: Statistics, method: str) -> E4M3Range:
    """The range of e4m3 numbers by "minmax", up to the largest magnitude, or by "mse".

    Raises UsageError for another method, StageError where there is no value.
    """
    if method not in E4M3_METHODS:
        raise OptionError(
            "fp8 does not take {calibration} {method!r}",
            hint="use one of {known}: the others assume steps of equal size",
            method=method,
            known=", ".join(E4M3_METHODS),
        )
    statistics.require_values()
    if method == "minmax":
        return E4M3Range(largest=statistics.largest)
    return E4M3Range(largest=rounding_bound(_histogram(statistics), statistics.largest, e4m3.round_trip))


def _clipped(histogram: Histogram, method: str, low: float, high: float) -> tuple[float, float]:
    if method == "percentile":
        return percentile_range(histogram, low, high)
    if method == "entropy":
        return entropy_range(histogram, low, high)
    return least_squares_range(histogram, low, high, levels=LEVELS)


def _histogram(statistics: Statistics) -> Histogram:
    assert statistics.histogram is not None, "gathered for every method but minmax"
    return statistics.histogram
