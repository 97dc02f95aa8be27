"""The range whose rounding and clipping errors have the smallest sum of squares."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

STEPS = 40
"""Ends that are tried on either side, from all of what was seen down to a fortieth of it."""
MERGED = 4
"""Neighbouring bins that are looked at as one, which leaves at least 16 to a step of the whole range."""
FRACTIONS = tuple(part / STEPS for part in range(1, STEPS + 1))
ROUNDS = 2
"""Each end is chosen with the other fixed; a third round changes nothing."""


def least_squares_range(
    counts: npt.NDArray[np.int64], bound: float, low: float, high: float, levels: int
) -> tuple[float, float]:
    """The ends, within `low` to `high` and with zero between, that lose the least on a histogram of -bound to bound.

    A value is taken as its bin's middle; what lies outside the ends is clipped to them. A few large values thus cost
    what they are worth: an end moves inward only where finer steps for the many repay it.
    """
    loss = _loss(counts, bound, levels)
    best_low, best_high = low, high
    for _ in range(ROUNDS):
        best_high = min((high * part for part in FRACTIONS), key=lambda end: loss(best_low, end))
        best_low = min((low * part for part in FRACTIONS), key=lambda end: loss(end, best_high))
    return best_low, best_high


def least_squares_bound(counts: npt.NDArray[np.int64], bound: float, largest: float, levels: int) -> float:
    """The end, at most `largest`, of the range from its negative to it that loses the least, as above."""
    loss = _loss(counts, bound, levels)
    return min((largest * part for part in FRACTIONS), key=lambda end: loss(-end, end))


def least_squares_end(
    counts: npt.NDArray[np.int64],
    bound: float,
    largest: float,
    rounded: Callable[[npt.NDArray[np.float64], float], npt.NDArray[np.float64]],
) -> float:
    """The end, at most `largest`, that loses the least where `rounded` says what is left of values for an end."""
    middles, weights = _middles(counts, bound)

    def loss(end: float) -> float:
        return float(weights @ np.square(rounded(middles, end) - middles)) if end > 0.0 else 0.0

    return min((largest * part for part in FRACTIONS), key=loss)


def _middles(
    counts: npt.NDArray[np.int64], bound: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The middles of the bins that hold anything, and how much each holds."""
    counts = counts.reshape(-1, MERGED).sum(axis=1)
    width = 2.0 * bound / len(counts)
    kept = np.flatnonzero(counts)
    middles = ((kept + 0.5) * width - bound).astype(np.float64)
    return middles, counts[kept].astype(np.float64)


def _loss(counts: npt.NDArray[np.int64], bound: float, levels: int) -> Callable[[float, float], float]:
    """The sum of squares that a lowest and a highest end lose."""
    middles, weights = _middles(counts, bound)

    def loss(lowest: float, highest: float) -> float:
        step = (highest - lowest) / levels
        if step <= 0.0:
            return float(weights @ np.square(middles))
        zero_point = np.rint(-lowest / step)
        numbers = np.clip(np.rint(middles / step) + zero_point, 0, levels)
        return float(weights @ np.square((numbers - zero_point) * step - middles))

    return loss
