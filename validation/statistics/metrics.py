"""Metrics as functions of summed columns, which makes them cheap to compute without one example or on a resample.

Each metric keeps a few numbers for each example. The sums of these numbers over any sample determine the metric on that
sample. The tests compare every metric with scikit-learn, seqeval, torchmetrics or scipy.

Shape suffixes: N examples, K columns, L labels; `...` is a batch of samples, or nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LARGEST_PERPLEXITY = 1e9
"""No vocabulary has so many tokens: beyond it a model is worse than one that guesses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric of one model on N examples."""

    name: str
    """The metric's name."""
    columns: Array
    """A few numbers for each example, (N, K)."""
    of_sums: Callable[[Array], Array]
    """The metric's values (...), for sums of the columns (..., K)."""
    parts: Array
    """How many parts of each example the metric is about, (N,): its words or entities, or 1 for the whole example."""
    higher_is_better: bool = True
    """Whether a higher value is a better one."""

    @property
    def value(self) -> float:
        """The metric on all the examples."""
        return float(self.of_sums(self.columns.sum(axis=0)))


def mean(name: str, values_N: Array, *, higher_is_better: bool = True) -> Score:
    """The mean of one value for each example, such as the exact match or the F1 of an answer."""
    return ratio(name, values_N, np.ones_like(values_N), higher_is_better=higher_is_better)


def ratio(name: str, numerators_N: Array, denominators_N: Array, *, higher_is_better: bool = True) -> Score:
    """The sum of the numerators divided by that of the denominators; 0 where the latter is 0."""
    columns_NK = np.stack([numerators_N, denominators_N], axis=1).astype(np.float64)
    return Score(
        name=name,
        columns=columns_NK,
        of_sums=_ratio,
        parts=columns_NK[:, 1],
        higher_is_better=higher_is_better,
    )


def brier(probabilities_NL: Array, actual_NL: Array) -> Array:
    """Brier's score (1950) of each answer, (N,): half the squared distance of the probabilities from 0 and 1.

    It is 0 for a certain right answer and 1 for a certain wrong one. It is strictly proper: only the true probabilities
    have the lowest expected score (Gneiting and Raftery 2007). So it shows answers that are too sure or not sure
    enough, which no metric of the best label does.
    """
    scores_N: Array = ((probabilities_NL - actual_NL) ** 2).sum(axis=1) / 2
    return scores_N


def perplexity(name: str, negative_log_likelihoods_N: Array, counts_N: Array) -> Score:
    """exp of the mean negative log-likelihood (natural logarithm) of a predicted token; lower is better.

    At most LARGEST_PERPLEXITY: a model that is very sure of other tokens would have more than a float64 can hold.
    """
    columns_NK = np.stack([negative_log_likelihoods_N, counts_N], axis=1).astype(np.float64)
    return Score(
        name=name,
        columns=columns_NK,
        of_sums=lambda sums: np.exp(np.minimum(_ratio(sums), np.log(LARGEST_PERPLEXITY))),
        parts=columns_NK[:, 1],
        higher_is_better=False,
    )


def micro_f1(name: str, correct_N: Array, predicted_N: Array, actual_N: Array) -> Score:
    """F1 of counts that are summed over the examples.

    0 where nothing is predicted and nothing is actual, as in scikit-learn.
    """

    def of_sums(sums: Array) -> Array:
        return _divide(2 * sums[..., 0], sums[..., 1] + sums[..., 2])

    columns_NK = np.stack([correct_N, predicted_N, actual_N], axis=1).astype(np.float64)
    return Score(name=name, columns=columns_NK, of_sums=of_sums, parts=columns_NK[:, 1:].sum(axis=1))


def macro_f1(name: str, predicted_N: Indices, actual_N: Indices, labels: int) -> Score:
    """The mean of the labels' F1, over the labels that are predicted or actual, as in scikit-learn."""
    identity_LL = np.eye(labels)
    predicted_NL, actual_NL = identity_LL[predicted_N], identity_LL[actual_N]

    def of_sums(sums: Array) -> Array:
        correct, total = sums[..., :labels], sums[..., labels:]
        occurring = (total > 0).sum(axis=-1).astype(np.float64)
        return _divide((2 * _divide(correct, total)).sum(axis=-1), occurring)

    columns_NK = np.concatenate([predicted_NL * actual_NL, predicted_NL + actual_NL], axis=1)
    return Score(name=name, columns=columns_NK, of_sums=of_sums, parts=np.ones(len(columns_NK)))


def r2(name: str, predicted_N: Array, actual_N: Array) -> Score:
    """Coefficient of determination.

    For constant true values it is 1 if every prediction is exact, else 0, as in scikit-learn.
    """
    # Centring does not change the result, and avoids the difference of two large sums, which would lose digits.
    centred_N = actual_N - actual_N.mean()

    def of_sums(sums: Array) -> Array:
        residual, linear, square, count = np.moveaxis(sums, -1, 0)
        total = square - linear**2 / count
        constant = total <= 1e-12 * square
        explained = 1 - _divide(residual, np.where(constant, 0, total))
        return np.where(constant, np.where(residual == 0, 1.0, 0.0), explained)

    ones_N = np.ones_like(centred_N)
    columns_NK = np.stack([(predicted_N - actual_N) ** 2, centred_N, centred_N**2, ones_N], axis=1)
    return Score(name=name, columns=columns_NK, of_sums=of_sums, parts=ones_N)


def pearson(name: str, predicted_N: Array, actual_N: Array) -> Score:
    """Pearson's correlation; 0 where either side is constant."""
    x_N, y_N = predicted_N - predicted_N.mean(), actual_N - actual_N.mean()

    def of_sums(sums: Array) -> Array:
        x, y, xx, yy, xy, count = np.moveaxis(sums, -1, 0)
        covariance = xy - x * y / count
        spread = np.maximum(xx - x**2 / count, 0) * np.maximum(yy - y**2 / count, 0)
        return _divide(covariance, np.sqrt(spread))

    ones_N = np.ones_like(x_N)
    columns_NK = np.stack([x_N, y_N, x_N**2, y_N**2, x_N * y_N, ones_N], axis=1)
    return Score(name=name, columns=columns_NK, of_sums=of_sums, parts=ones_N)


def _ratio(sums: Array) -> Array:
    return _divide(sums[..., 0], sums[..., 1])


def _divide(numerator: Array, denominator: Array) -> Array:
    """`numerator` / `denominator`, 0 where the denominator is 0."""
    safe = np.where(denominator == 0, 1.0, denominator)
    return np.where(denominator == 0, 0.0, numerator / safe)
