"""Medians, ratios and their confidence intervals: the only place where they are computed.

Runs of the same round resemble each other, so a round counts as one sample, its median. Every subject has its turn in
every round, so subjects are compared round by round: what slows the machine for a while slows both sides of a ratio.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distilforge.manifest import Measurement
from distilforge.timing.shape import Shape

CONFIDENCE = 0.95
"""Confidence of each end of an interval, one-sided."""
Values = npt.NDArray[np.float64]
"""One value for each round, (rounds,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The median over rounds, with its confidence interval."""

    value: float
    """The median."""
    interval: tuple[float, float] | None
    """Lower and upper end, each one-sided; None if there are too few rounds for the confidence."""

    @property
    def width(self) -> float:
        """The interval's relative width, upper end / lower end - 1; infinite without an interval."""
        return math.inf if self.interval is None else self.interval[1] / self.interval[0] - 1

    def __str__(self) -> str:
        """The median and its interval, such as `1.34 (0.96 to 1.65)`."""
        if self.interval is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.interval[0]:.2f} to {self.interval[1]:.2f})"


def fewest_rounds(confidence: float = CONFIDENCE) -> int:
    """The fewest rounds that give an interval at `confidence` (one-sided): 5 at 95%, 6 at 97.5%."""
    return math.ceil(-math.log2(1 - confidence))


def seconds(
    measurement: Measurement, *, confidence: float = CONFIDENCE, apart: Iterable[int] = ()
) -> Estimate:
    """Seconds of one run. Rounds whose index is in `apart` are left out."""
    return estimate(round_medians(measurement, apart=apart), confidence=confidence)


def quantile(measurement: Measurement, share: float) -> float:
    """Seconds that the `share` of all runs, between 0 and 1, do not exceed."""
    return float(np.quantile(measurement.seconds, share))


def ratio(
    measurements: Sequence[Measurement],
    subject: str,
    over: str,
    *,
    shapes: Sequence[Shape] = (),
    confidence: float = CONFIDENCE,
    apart: Iterable[int] = (),
) -> Estimate | None:
    """How many times as fast `subject` is as `over`: in each round, the geometric mean over `shapes`.

    `shapes` () means all shapes at which both were timed. Rounds whose index is in `apart` are left out. Older
    releases have more rounds of some shapes than of others; then only the rounds that all shapes have are used.

    None if the two were not timed together: at one of `shapes`, at any shape, or with the same number of rounds.
    """
    own, other = by_shape(measurements, subject), by_shape(measurements, over)
    shared = [shape for shape in (shapes or own) if shape in own and shape in other]
    pairs = [(round_medians(own[shape]), round_medians(other[shape])) for shape in shared]
    rounds = min((len(ours) for ours, _ in pairs), default=0)
    if not rounds or any(len(ours) != len(theirs) for ours, theirs in pairs) or len(shared) < len(shapes):
        return None
    # (shape, round)
    logarithms = np.log([theirs[:rounds] / ours[:rounds] for ours, theirs in pairs])
    logarithm = estimate(_without(logarithms.mean(axis=0), apart), confidence=confidence)
    interval = logarithm.interval and (math.exp(logarithm.interval[0]), math.exp(logarithm.interval[1]))
    return Estimate(value=math.exp(logarithm.value), interval=interval)


def by_shape(measurements: Sequence[Measurement], subject: str) -> Mapping[Shape, Measurement]:
    """The measurements of `subject` by shape, without those that have no run or a run of zero seconds."""
    return {
        Shape(batch=measurement.batch, tokens=measurement.tokens): measurement
        for measurement in measurements
        if measurement.subject == subject and measurement.seconds and min(measurement.seconds) > 0
    }


def round_medians(measurement: Measurement, *, apart: Iterable[int] = ()) -> Values:
    """The median of each round in seconds. Rounds whose index is in `apart` are left out."""
    if measurement.seconds and len(set(measurement.runs)) <= 1:
        # One call for all rounds, because `distilforge.open` must be quick
        rounds = len(measurement.runs) or len(measurement.seconds)
        medians = np.median(np.reshape(measurement.seconds, (rounds, -1)), axis=1)
    else:
        medians = np.array([np.median(runs) for runs in measurement.rounds], dtype=np.float64)
    return _without(medians, apart)


def estimate(values: Values, *, confidence: float = CONFIDENCE) -> Estimate:
    """The median of one value per round, and its interval, whose ends are two of the sorted values.

    The number of values below the true median is binomial, whatever the distribution of the noise, so the interval
    keeps its confidence without an assumption about the noise (David and Nagaraja, Order Statistics, 2003, section
    7.1).
    """
    rank = _rank(len(values), confidence)
    ordered = np.sort(values)
    return Estimate(
        value=float(np.median(ordered)),
        interval=None if rank is None else (float(ordered[rank]), float(ordered[-1 - rank])),
    )


def _without(values: Values, apart: Iterable[int]) -> Values:
    excluded = set(apart)
    return values[[index for index in range(len(values)) if index not in excluded]]


def _rank(count: int, confidence: float) -> int | None:
    """Index, among `count` sorted values, of the interval's lower end; None if there are too few values.

    It is the largest index for which the true median lies below that value with a probability of at most
    1 - confidence.
    """
    probability, rank = 0.0, None
    for index in range(count):
        # The binomial coefficient of a thousand values is larger than a float
        probability += math.exp(
            math.lgamma(count + 1)
            - math.lgamma(index + 1)
            - math.lgamma(count - index + 1)
            - count * math.log(2)
        )
        if probability > 1 - confidence:
            break
        rank = index
    return rank
