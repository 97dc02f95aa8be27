"""The range that leaves out a fixed share of the values."""

import numpy as np

from pipeline.precision.ranges.histogram import Histogram

SHARE = 0.9999
"""Share of the values inside the range."""


def percentile_range(histogram: Histogram, low: float, high: float) -> tuple[float, float]:
    """(low, high) with half of the excluded share below and half above; `low` and `high` are the extremes."""
    counts, edges = histogram.counts, histogram.edges
    excluded = (1.0 - SHARE) / 2.0 * counts.sum()
    cumulative = np.cumsum(counts)
    lowest = edges[int(np.searchsorted(cumulative, excluded, side="right"))]
    highest = edges[1 + int(np.searchsorted(cumulative, counts.sum() - excluded, side="left"))]
    return min(0.0, max(low, float(lowest))), max(0.0, min(high, float(highest)))
