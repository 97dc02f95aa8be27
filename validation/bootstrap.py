"""Intervals by the percentile bootstrap (Efron and Tibshirani 1993, chapter 13), seeded, in bounded memory."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from validation.metrics import Array, Score

RESAMPLES = 4999
SEED = 0
# Numbers held at once while resampling: 8 bytes each.
HELD = 4_000_000


def loss_interval(eager: Score, variant: Score, *, confidence: float) -> tuple[float, float]:
    """The interval of how much worse `variant` is than `eager`, in the metric's own unit, on paired examples.

    Each end is one-sided at `confidence`: the loss lies below the upper end with that probability. Examples are
    resampled, and both models are scored on the same resample. At least two examples are needed.
    """
    examples = len(eager.columns)
    width = eager.columns.shape[1]
    columns = np.concatenate([eager.columns, variant.columns], axis=1)
    sign = 1.0 if eager.higher_is_better else -1.0

    def loss(drawn: npt.NDArray[np.int64], axis: int) -> Array:
        # How often each example was drawn, times its columns: the sums over the resample in one matrix product.
        assert axis == -1
        batch = drawn.reshape(-1, examples)
        offsets = np.arange(len(batch))[:, None] * examples
        counts = np.bincount((batch + offsets).ravel(), minlength=batch.size).reshape(batch.shape)
        sums = counts.astype(np.float64) @ columns
        lost: Array = sign * (eager.of_sums(sums[..., :width]) - variant.of_sums(sums[..., width:]))
        return lost.reshape(drawn.shape[:-1])

    result = stats.bootstrap(
        (np.arange(examples),),
        loss,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, HELD // examples),
        confidence_level=_two_sided(confidence),
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def speedup(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """Geometric mean over `pairs` of the ratio of medians, (eager seconds) / (variant seconds)."""
    samples = [np.asarray(side, dtype=np.float64) for pair in pairs for side in pair]
    return float(_speedup(*samples, axis=-1))


def speedup_interval(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]], *, confidence: float
) -> tuple[float, float]:
    """The interval of `speedup`, each end one-sided at `confidence`; every pair needs two samples a side.

    The sides are resampled independently. They were taken in turns, so drift of the machine moves both alike; what
    that leaves out makes the interval wider, never narrower.
    """
    samples = [np.asarray(side, dtype=np.float64) for pair in pairs for side in pair]
    result = stats.bootstrap(
        samples,
        _speedup,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, HELD // sum(map(len, samples))),
        confidence_level=_two_sided(confidence),
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _speedup(*samples: Array, axis: int) -> Array:
    logarithms = [np.log(np.median(sample, axis=axis)) for sample in samples]
    ratios = [eager - variant for eager, variant in zip(logarithms[::2], logarithms[1::2], strict=True)]
    mean: Array = np.exp(np.mean(np.stack(ratios), axis=0))
    return mean


def _two_sided(confidence: float) -> float:
    """The level of the two-sided interval whose ends are one-sided at `confidence`."""
    return 2 * confidence - 1
