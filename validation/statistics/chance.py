"""Whether the labels of the data fit the model: eager PyTorch must beat chance, under the names that they have.

A metric on labels that have nothing to do with the model's answers cannot show a loss, since there is nothing to lose.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from validation.statistics import normal
from validation.statistics.classes import ClassAnswers
from validation.statistics.metrics import Score
from validation.statistics.noninferiority import loss_interval, pseudo_values

SEED = 0
"""The seed of the order in which truths are exchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """The names of labels under which most answers are right, beside those that the data give them."""

    names: tuple[tuple[str, str], ...]
    """Each label of the data that has another name, with that name."""
    better: int
    """How many texts have more right answers under those names."""
    worse: int
    """How many texts have more right answers under the data's names."""
    texts: int
    """How many texts there are."""
    labels: int
    """How many labels occur."""

    @property
    def value(self) -> float:
        """How much more of the texts is right under those names."""
        return (self.better - self.worse) / self.texts

    def is_shown(self, critical: float) -> bool:
        """Whether the data's names are shown to be wrong.

        The sign test of the texts that differ, corrected for the number of ways in which labels can be renamed
        (Bonferroni: the best of them was chosen).
        """
        differing = self.better + self.worse
        if not differing:
            return False
        log_tail = _log(float(special.bdtrc(self.better - 1, differing, 0.5)))
        return log_tail + self._log_ways <= normal.log_upper_tail(critical)

    def could_be_shown(self, critical: float) -> bool:
        """Whether there are enough texts to show that all names are wrong."""
        return self.texts * math.log(0.5) + self._log_ways <= normal.log_upper_tail(critical)

    @property
    def _log_ways(self) -> float:
        return float(special.gammaln(self.labels + 1))


def above_chance(eager: Score, chance: Score, critical: float) -> tuple[float, float]:
    """The interval of how much better eager PyTorch scores than `chance`, the same answers beside other truths.

    If the truths have nothing to do with the answers, it makes no difference whose truth an answer stands beside: the
    null hypothesis of a permutation test (Fisher 1935; for classifiers, Ojala and Garriga 2010).

    The upper end is at least that of the jackknife's normal interval (Tukey 1958): one example that decides the metric
    alone, such as an outlier of a regression, does not show that eager PyTorch scores less than chance.
    """
    low, high = loss_interval(eager, chance, critical=critical)
    contributions_N = pseudo_values(eager, chance)
    standard_error = float(contributions_N.std(ddof=1)) / math.sqrt(len(contributions_N))
    return low, max(high, float(contributions_N.mean()) + critical * standard_error)


def renaming(answers: ClassAnswers) -> Renaming:
    """The names of labels under which most of `answers` are right.

    They are the assignment of the largest sum in the table of actual and given labels (Kuhn 1955). Where an answer is
    several labels, other names change the labels that are rightly left out by as many as those that are rightly given,
    so it is enough to count these.
    """
    from scipy import optimize  # slow to import, and most builds have nothing to do

    count = len(answers.labels)
    actual_UL, predicted_UL = answers.actual.astype(np.float64), answers.predicted.astype(np.float64)
    table_LL = actual_UL.T @ predicted_UL
    # A small preference for the data's names, so that labels without an answer keep theirs
    actual_L, renamed_L = optimize.linear_sum_assignment(table_LL + 0.5 * np.eye(count), maximize=True)
    new_names_L = np.empty(count, dtype=np.int64)
    new_names_L[actual_L] = renamed_L
    gains_U = (actual_UL * (predicted_UL[:, new_names_L] - predicted_UL)).sum(axis=1)
    _, texts_U = np.unique(answers.texts, return_inverse=True)
    gains_N = np.bincount(texts_U, weights=gains_U)
    return Renaming(
        names=tuple(
            (answers.labels[actual], answers.labels[new])
            for actual, new in enumerate(new_names_L)
            if actual != new
        ),
        better=int((gains_N > 0).sum()),
        worse=int((gains_N < 0).sum()),
        texts=len(gains_N),
        labels=int((answers.actual | answers.predicted).any(axis=0).sum()),
    )


def exchanged(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The number of the example whose truth stands beside each of `count` answers, in a fixed random order."""
    return np.random.default_rng(SEED).permutation(count)


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -math.inf
