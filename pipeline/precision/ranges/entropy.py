"""The range whose 8-bit histogram loses the least information about the values.

Source: Migacz 2017, "8-bit Inference with TensorRT", extended to ranges that are not symmetric.
"""

import numpy as np
import numpy.typing as npt

from pipeline.precision.ranges.histogram import Histogram

LEVELS = 256
# Limits tried, from a hundredth of the largest magnitude to all of it.
CANDIDATES = 100
# Keeps the logarithm finite where the quantized histogram is empty.
SMALLEST = 1e-10


def entropy_range(histogram: Histogram, low: float, high: float) -> tuple[float, float]:
    """(low, high) where the clipped histogram and its quantized form have the smallest divergence.

    `low` and `high` are the extremes. Each candidate limit clips both to at most its magnitude.
    """
    smallest, chosen = np.inf, (low, high)
    edges = histogram.edges
    for step in range(CANDIDATES, 0, -1):
        limit = max(-low, high) * step / CANDIDATES
        lowest, highest = max(low, -limit), min(high, limit)
        first = int(np.searchsorted(edges, lowest, side="right")) - 1
        last = int(np.searchsorted(edges, highest, side="left"))
        if last - first < LEVELS:
            break
        divergence = _divergence(histogram.counts, max(first, 0), last)
        if divergence < smallest:
            smallest, chosen = divergence, (lowest, highest)
    return chosen


def _divergence(counts: npt.NDArray[np.int64], first: int, last: int) -> float:
    """Kullback-Leibler divergence between bins `first` to `last` and their form in 256 levels.

    The first distribution has all counts outside added to its end bins, as clipping does.
    """
    inside = counts[first:last].astype(np.float64)
    clipped = inside.copy()
    clipped[0] += counts[:first].sum()
    clipped[-1] += counts[last:].sum()
    # Each level spreads its count evenly over those of its bins that are not empty.
    level = np.arange(len(inside)) * LEVELS // len(inside)
    totals = np.bincount(level, weights=inside, minlength=LEVELS)
    filled = np.bincount(level, weights=inside > 0, minlength=LEVELS)
    spread = np.where(inside > 0, (totals / np.maximum(filled, 1))[level], 0.0)
    p, q = clipped / clipped.sum(), spread / max(spread.sum(), 1.0)
    positive = p > 0
    return float((p[positive] * np.log(p[positive] / np.maximum(q[positive], SMALLEST))).sum())
