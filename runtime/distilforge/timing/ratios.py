"""Medians, and ratios of times with their intervals: the one place where they are computed.

All runs of one round resemble each other, so a round counts as one sample, its median. Every subject has its turn in
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
"""Of each end of an interval, one-sided."""
Values = npt.NDArray[np.float64]
"""(rounds,): a value a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A median over rounds, with its interval."""

    value: float
    """The median."""
    interval: tuple[float, float] | None
    """Each end one-sided; None where there are too few rounds to say anything at that confidence."""

    @property
    def width(self) -> float:
        """The upper end by the lower, less one; infinite where there is no interval."""
        return math.inf if self.interval is None else self.interval[1] / self.interval[0] - 1


def fewest_rounds(confidence: float = CONFIDENCE) -> int:
    """How many rounds an interval needs whose ends are one-sided at `confidence`: 5 at 95%, 6 at 97.5%."""
    return math.ceil(-math.log2(1 - confidence))


def seconds(
    measurement: Measurement, *, confidence: float = CONFIDENCE, apart: Iterable[int] = ()
) -> Estimate:
    """Seconds of a run; the rounds `apart` are left out."""
    return estimate(round_medians(measurement, apart=apart), confidence=confidence)


def ratio(
    measurements: Sequence[Measurement],
    subject: str,
    over: str,
    *,
    shapes: Sequence[Shape] = (),
    confidence: float = CONFIDENCE,
    apart: Iterable[int] = (),
) -> Estimate | None:
    """How many times as fast `subject` is as `over`: the geometric mean over `shapes`, round by round.

    Without `shapes` all are taken at which both were timed. None where that is no shape, or where the rounds of the two
    do not match. The rounds `apart` are left out. Older releases have more rounds of some shapes than of others: of
    those, as many as all shapes have are taken.
    """
    own, other = by_shape(measurements, subject), by_shape(measurements, over)
    shared = [shape for shape in (shapes or own) if shape in own and shape in other]
    pairs = [(round_medians(own[shape]), round_medians(other[shape])) for shape in shared]
    rounds = min((len(ours) for ours, _ in pairs), default=0)
    if not rounds or any(len(ours) != len(theirs) for ours, theirs in pairs) or len(shared) < len(shapes):
        return None
    # (shape, round)
    logarithms = np.log([theirs[:rounds] / ours[:rounds] for ours, theirs in pairs])
    taken = estimate(_kept(logarithms.mean(axis=0), apart), confidence=confidence)
    low_high = taken.interval and (math.exp(taken.interval[0]), math.exp(taken.interval[1]))
    return Estimate(value=math.exp(taken.value), interval=low_high)


def by_shape(measurements: Sequence[Measurement], subject: str) -> Mapping[Shape, Measurement]:
    """The measurements of `subject` that hold a run, by their shapes; those with a run of no time say nothing."""
    return {
        Shape(batch=taken.batch, tokens=taken.tokens): taken
        for taken in measurements
        if taken.subject == subject and taken.seconds and min(taken.seconds) > 0
    }


def round_medians(measurement: Measurement, *, apart: Iterable[int] = ()) -> Values:
    """The median of each round, in seconds; the rounds `apart` are left out."""
    if measurement.seconds and len(set(measurement.runs)) <= 1:
        # All at once: `distilforge.open` has no time for a call a round
        rounds = len(measurement.runs) or len(measurement.seconds)
        medians = np.median(np.reshape(measurement.seconds, (rounds, -1)), axis=1)
    else:
        medians = np.array([np.median(taken) for taken in measurement.rounds], dtype=np.float64)
    return _kept(medians, apart)


def estimate(values: Values, *, confidence: float = CONFIDENCE) -> Estimate:
    """The median of one value a round, and the interval that two of the sorted values make.

    How many values lie below the true median is binomial whatever their distribution, so that the interval keeps its
    confidence without any assumption on the noise (David and Nagaraja, Order Statistics, 2003, section 7.1).
    """
    rank = _rank(len(values), confidence)
    ordered = np.sort(values)
    return Estimate(
        value=float(np.median(ordered)),
        interval=None if rank is None else (float(ordered[rank]), float(ordered[-1 - rank])),
    )


def _kept(values: Values, apart: Iterable[int]) -> Values:
    left_out = set(apart)
    return values[[place for place in range(len(values)) if place not in left_out]]


def _rank(count: int, confidence: float) -> int | None:
    """The last place below whose value the median lies with a probability of at most 1 - confidence, from 0."""
    below, rank = 0.0, None
    for place in range(count):
        below += math.comb(count, place) * 0.5**count
        if below > 1 - confidence:
            break
        rank = place
    return rank
