"""How much worse a variant scores than eager PyTorch, as an interval that holds where few answers or none differ.

Each example adds its share to the difference of the two models' metric. Losses and gains are summed apart. Each sum
gets limits that are exact for counts: Garwood's (1936) for a Poisson count, extended by Fay and Feuer (1997) to events
of unequal weight. The upper limit adds one made-up event of the greatest weight, so that even without any loss in N
examples a loss stays possible. The limits of the difference come from those of its parts (Newcombe 1998, method 10; Zou
and Donner 2008).

Shape suffixes: N examples, K columns; `...` is a batch of samples or nothing.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from validation.metrics import Array, Score

# What one example loses of a metric between 0 and 1 whose answer turns from right to wrong
WHOLE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What the limits of a sum of weighted events need to know of them, each (...)."""

    total: Array
    """The sum of the weights."""
    squares: Array
    """The sum of their squares."""
    heaviest: Array
    """The greatest weight that an event can have."""

    @classmethod
    def of(cls, weights_N: Array) -> "Sums":
        """Of one sample; an event can weigh as much as a whole answer, or as the heaviest that is there."""
        return cls(
            total=weights_N.sum(),
            squares=(weights_N**2).sum(),
            heaviest=np.maximum(WHOLE, weights_N.max(initial=0.0)),
        )

    @classmethod
    def of_counts(cls, counts: Array) -> "Sums":
        """Of so many whole answers."""
        return cls(total=counts, squares=counts, heaviest=np.ones_like(counts))

    def upper(self, tail: float) -> Array:
        """What the expected sum exceeds with the chance `tail`."""
        mean, variance = self.total + self.heaviest, self.squares + self.heaviest**2
        scale = variance / mean
        limit: Array = scale * special.gammainccinv(mean / scale, tail)
        return limit

    def lower(self, tail: float) -> Array:
        """What the expected sum stays below with the chance `tail`; 0 where there was no event."""
        some = self.squares > 0
        total, squares = np.where(some, self.total, 1.0), np.where(some, self.squares, 1.0)
        scale = squares / total
        return np.where(some, scale * special.gammaincinv(total / scale, tail), 0.0)


def loss_interval(eager: Score, variant: Score, *, critical: float) -> tuple[float, float]:
    """The interval of how much worse `variant` is than `eager`, in the metric's own unit, on paired examples.

    Each end is one-sided: the loss lies beyond it with the chance that a standard normal value exceeds `critical`. At
    least two examples are needed.
    """
    losses_N = contributions(eager, variant)
    lost, gained = Sums.of(np.maximum(losses_N, 0)), Sums.of(np.maximum(-losses_N, 0))
    low, high = difference_limits(lost, gained, critical)
    return float(low) / len(losses_N), float(high) / len(losses_N)


def contributions(eager: Score, variant: Score) -> Array:
    """What each example adds to the loss, (N,): the jackknife's pseudo-values (Tukey 1958), whose mean is the loss.

    For a mean over examples they are the examples' own losses.
    """
    sign = 1.0 if eager.higher_is_better else -1.0

    def loss(eager_sums: Array, variant_sums: Array) -> Array:
        lost: Array = sign * (eager.of_sums(eager_sums) - variant.of_sums(variant_sums))
        return lost

    examples = len(eager.columns)
    eager_K, variant_K = eager.columns.sum(axis=0), variant.columns.sum(axis=0)
    without_N = loss(eager_K - eager.columns, variant_K - variant.columns)
    pseudo_N: Array = examples * loss(eager_K, variant_K) - (examples - 1) * without_N
    return pseudo_N


def difference_limits(lost: Sums, gained: Sums, critical: float) -> tuple[Array, Array]:
    """Both limits of the expected sum of losses less that of gains, each with the chance beyond `critical`."""
    tail = float(stats.norm.sf(critical))
    loss = lost.total - gained.total
    low = loss - np.hypot(lost.total - lost.lower(tail), gained.upper(tail) - gained.total)
    high = loss + np.hypot(lost.upper(tail) - lost.total, gained.total - gained.lower(tail))
    return low, high


def unseen(examples: int, critical: float) -> float:
    """The upper end of the loss where none of `examples` differs, (-ln tail)/N: the least that can be shown."""
    _, high = difference_limits(Sums.of(np.zeros(1)), Sums.of(np.zeros(1)), critical)
    return float(high) / examples
