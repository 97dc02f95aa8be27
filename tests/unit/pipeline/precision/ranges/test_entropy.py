"""Entropy calibration against a direct reading of its source, and on histograms whose answer is known."""

import numpy as np
import pytest

from pipeline.precision.ranges.entropy import CANDIDATES, LEVELS, SMALLEST, entropy_range
from pipeline.precision.ranges.histogram import Histogram


def divergence_by_hand(counts: np.ndarray, first: int, last: int) -> float:
    """Migacz 2017, page 31 and after, with loops: clip into P, quantize to 256 levels into Q, sum p log(p / q)."""
    inside = [float(count) for count in counts[first:last]]
    p = list(inside)
    p[0] += float(counts[:first].sum())
    p[-1] += float(counts[last:].sum())
    q = [0.0] * len(inside)
    levels: dict[int, list[int]] = {}
    for index in range(len(inside)):
        levels.setdefault(index * LEVELS // len(inside), []).append(index)
    for bins in levels.values():
        filled = [index for index in bins if inside[index] > 0]
        for index in filled:
            q[index] = sum(inside[other] for other in bins) / len(filled)
    p_total, q_total = sum(p), max(sum(q), 1.0)
    total = 0.0
    for p_count, q_count in zip(p, q, strict=True):
        if p_count > 0:
            total += p_count / p_total * np.log(p_count / p_total / max(q_count / q_total, SMALLEST))
    return float(total)


def range_by_hand(counts: np.ndarray, bound: float, low: float, high: float) -> tuple[float, float]:
    candidates = []
    for step in range(CANDIDATES, 0, -1):
        limit = max(-low, high) * step / CANDIDATES
        ends = max(low, -limit), min(high, limit)
        width = 2 * bound / len(counts)
        # The bins that hold any part of the range
        first = int(np.floor((ends[0] + bound) / width))
        last = int(np.ceil((ends[1] + bound) / width))
        if last - first < LEVELS:
            break
        candidates.append((divergence_by_hand(counts, first, last), ends))
    return min(candidates, key=lambda candidate: candidate[0])[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tail", [0.0, 0.01])
def test_it_chooses_what_the_source_does(seed: int, tail: float) -> None:
    random = np.random.default_rng(seed)
    values = random.standard_normal(4000)
    values[: int(4000 * tail)] *= 12
    low, high = float(values.min()), float(values.max())
    bound = float(2 ** np.ceil(np.log2(max(-low, high))))
    counts, _ = np.histogram(values, bins=1024, range=(-bound, bound))
    histogram = Histogram(counts=counts.astype(np.int64), bound=bound)
    assert entropy_range(histogram, low, high) == pytest.approx(range_by_hand(counts, bound, low, high))


def test_a_histogram_that_256_levels_hold_is_kept_whole() -> None:
    counts = np.zeros(1024, dtype=np.int64)
    counts[256:512] = 7
    assert entropy_range(Histogram(counts=counts, bound=2.0), -1.0, 0.0) == (-1.0, 0.0)


def test_a_range_narrower_than_256_bins_is_kept_whole() -> None:
    counts = np.zeros(1024, dtype=np.int64)
    counts[500:524] = 1
    extremes = (-12 / 512, 12 / 512)
    assert entropy_range(Histogram(counts=counts, bound=1.0), *extremes) == extremes
