"""The range whose rounding and clipping errors have the smallest sum of squares.

A value counts as the middle of its bin. A range is narrowed only where the finer steps gain more on the many small
values than clipping loses on the few large ones.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.precision.ranges.histogram import Histogram

STEPS = 40
"""Candidates for an end, from a fortieth of the extreme to all of it."""
FRACTIONS = tuple(part / STEPS for part in range(1, STEPS + 1))
MERGED_BINS = 4
"""Neighbouring bins that count as one, which leaves at least 16 for each step of the whole range."""
ROUNDS = 2
"""Each end is chosen with the other fixed; a third round changes nothing."""

Floats = npt.NDArray[np.float64]


def least_squares_range(histogram: Histogram, low: float, high: float, *, levels: int) -> tuple[float, float]:
    """The best (low, high) within the extremes `low` and `high`, with `levels` steps and zero among the numbers."""
    loss = _integer_loss(histogram, levels)
    best_low, best_high = low, high
    for _ in range(ROUNDS):
        best_high = min((high * part for part in FRACTIONS), key=lambda end: loss(best_low, end))
        best_low = min((low * part for part in FRACTIONS), key=lambda end: loss(end, best_high))
    return best_low, best_high


def least_squares_bound(histogram: Histogram, largest: float, *, levels: int) -> float:
    """The best bound, at most `largest`, of a range from minus the bound to the bound."""
    loss = _integer_loss(histogram, levels)
    return min((largest * part for part in FRACTIONS), key=lambda bound: loss(-bound, bound))


def rounding_bound(
    histogram: Histogram, largest: float, round_trip: Callable[[Floats, float], Floats]
) -> float:
    """The best bound, at most `largest`, for numbers of which `round_trip(values, bound)` restores the values."""
    middles, counts = histogram.middles(MERGED_BINS)

    def loss(bound: float) -> float:
        return float(counts @ np.square(round_trip(middles, bound) - middles)) if bound > 0.0 else 0.0

    return min((largest * part for part in FRACTIONS), key=loss)


def _integer_loss(histogram: Histogram, levels: int) -> Callable[[float, float], float]:
    """Returns a function of (low, high): the sum of squared errors with `levels` equal steps between them."""
    middles, counts = histogram.middles(MERGED_BINS)

    def loss(low: float, high: float) -> float:
        step = (high - low) / levels
        if step <= 0.0:
            return float(counts @ np.square(middles))
        zero_point = np.rint(-low / step)
        numbers = np.clip(np.rint(middles / step) + zero_point, 0, levels)
        return float(counts @ np.square((numbers - zero_point) * step - middles))

    return loss
