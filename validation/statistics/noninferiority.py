"""How much worse a variant scores than eager PyTorch, as an interval that also holds if few or no answers differ.

Each example contributes to the difference of the two models' metrics. Losses and gains are summed separately. Each sum
has limits that are exact for counts: Garwood's (1936) for a Poisson count, extended by Fay and Feuer (1997) to events
of unequal weight. The upper limit adds one hypothetical event of the greatest weight: a loss stays possible even if
no example lost anything. The limits of the difference follow from those of the two sums (Newcombe 1998, method
10; Zou and Donner 2008).

Shape suffixes: N examples, K columns; `...` is a batch of samples, or nothing.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from validation.statistics import normal
from validation.statistics.metrics import Array, Score

WHOLE_ANSWER = 1.0
"""The loss of one example whose answer turns from right to wrong, for a metric between 0 and 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSum:
    """A sum of weighted events, and the numbers that determine its limits; the arrays have the shape (...)."""

    total: Array
    """The sum of the weights."""
    squares: Array
    """The sum of the squared weights."""
    heaviest: Array
    """The greatest weight that an event can have."""

    @classmethod
    def of(cls, weights_N: Array, *, whole_answer: float = WHOLE_ANSWER) -> "EventSum":
        """The sum of one sample; the greatest weight is that of a whole answer, or the greatest in the sample."""
        return cls(
            total=weights_N.sum(),
            squares=(weights_N**2).sum(),
            heaviest=np.maximum(whole_answer, weights_N.max(initial=0.0)),
        )

    @classmethod
    def of_counts(cls, counts: Array) -> "EventSum":
        """The sums of `counts` whole answers."""
        return cls(total=counts, squares=counts, heaviest=np.ones_like(counts))

    def upper(self, tail: float) -> Array:
        """The upper limit: the expected sum is larger with a probability of at most `tail`."""
        mean, variance = self.total + self.heaviest, self.squares + self.heaviest**2
        scale = variance / mean
        limit: Array = scale * special.gammainccinv(mean / scale, tail)
        return limit

    def lower(self, tail: float) -> Array:
        """The lower limit: the expected sum is smaller with a probability of at most `tail`; 0 without events."""
        some = self.squares > 0
        total, squares = np.where(some, self.total, 1.0), np.where(some, self.squares, 1.0)
        scale = squares / total
        return np.where(some, scale * special.gammaincinv(total / scale, tail), 0.0)


def loss_interval(eager: Score, variant: Score, *, critical: float) -> tuple[float, float]:
    """The interval of how much worse `variant` is than `eager`, in the metric's unit, from paired examples.

    Each end is one-sided: the loss is beyond it with the probability that a standard normal value exceeds `critical`.
    At least two examples are needed.
    """
    losses_N = pseudo_values(eager, variant)
    # The losses add up to N times the loss, so an example weighs more where fewer count: in the mean this much, which
    # Tiwari, Clegg and Zou (2006) add to Fay and Feuer's limits
    whole = WHOLE_ANSWER * len(losses_N) / counting_examples(eager, variant)
    lost = EventSum.of(np.maximum(losses_N, 0), whole_answer=whole)
    gained = EventSum.of(np.maximum(-losses_N, 0), whole_answer=whole)
    low, high = difference_limits(lost, gained, critical)
    return float(low) / len(losses_N), float(high) / len(losses_N)


def counting_examples(eager: Score, variant: Score) -> int:
    """How many examples have a part that the metric is about, such as an entity; at least 1."""
    return max(1, int(np.count_nonzero(np.maximum(eager.parts, variant.parts))))


def pseudo_values(eager: Score, variant: Score) -> Array:
    """The contribution of each example to the loss, (N,): the jackknife's pseudo-values (Tukey 1958).

    Their mean is the loss. For a metric that is a mean over examples they are the examples' own losses.
    """
    sign = 1.0 if eager.higher_is_better else -1.0

    def loss(eager_sums: Array, variant_sums: Array) -> Array:
        difference: Array = sign * (eager.of_sums(eager_sums) - variant.of_sums(variant_sums))
        return difference

    examples = len(eager.columns)
    eager_K, variant_K = eager.columns.sum(axis=0), variant.columns.sum(axis=0)
    without_N = loss(eager_K - eager.columns, variant_K - variant.columns)
    pseudo_N: Array = examples * loss(eager_K, variant_K) - (examples - 1) * without_N
    return pseudo_N


def difference_limits(lost: EventSum, gained: EventSum, critical: float) -> tuple[Array, Array]:
    """Both limits of the expected losses less the expected gains, each with the tail probability of `critical`."""
    tail = normal.upper_tail(critical)
    return square_and_add(
        lost.total,
        (lost.lower(tail), lost.upper(tail)),
        gained.total,
        (gained.lower(tail), gained.upper(tail)),
    )


def square_and_add(
    first: Array, first_limits: tuple[Array, Array], second: Array, second_limits: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Both limits of `first` less `second`, from the limits of each (Newcombe 1998; Zou and Donner 2008)."""
    difference = first - second
    low = difference - np.hypot(first - first_limits[0], second_limits[1] - second)
    high = difference + np.hypot(first_limits[1] - first, second - second_limits[0])
    return low, high


def smallest_upper_end(examples: float, critical: float) -> float:
    """The upper end of the loss if none of `examples` differs, -ln(tail) / N: they cannot show a smaller one.

    Of a metric over parts of examples, they are those that have such parts.
    """
    no_events = EventSum.of(np.zeros(1))
    _, high = difference_limits(no_events, no_events, critical)
    return float(high) / examples
