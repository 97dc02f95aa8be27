"""Ratios of times with bootstrap intervals, and what is wanted of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.contest import Contest, Samples
from bench.shapes import Shape
from validation import bootstrap

# Each end of an interval one-sided, so 95% between both
CONFIDENCE = 0.975


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Time of an opponent over ours: above 1 where ours is faster. `shape` is None for the geometric mean."""

    opponent: str
    shape: Shape | None
    value: float
    interval: tuple[float, float]

    @property
    def inverse(self) -> float:
        """Our time over the opponent's."""
        return 1 / self.value


def ratios(contest: Contest, ours: str, opponents: Sequence[str], *, title: str) -> tuple[Ratio, ...]:
    """Per shape and as geometric mean, against the fastest of `opponents` at each shape: presets of one peer.

    A turn is one sample; both sides are resampled independently (validation.bootstrap says why). An interval takes
    the choice of the fastest as given.
    """
    pairs = []
    found = []
    for shape in contest.shapes:
        theirs = min((contest.of(name, shape) for name in opponents), key=_median)
        pair = (theirs.medians, contest.of(ours, shape).medians)
        pairs.append(pair)
        found.append(_ratio([pair], title, shape))
    return (*found, _ratio(pairs, title, None))


def _ratio(
    pairs: Sequence[tuple[tuple[float, ...], tuple[float, ...]]], opponent: str, shape: Shape | None
) -> Ratio:
    return Ratio(
        opponent=opponent,
        shape=shape,
        value=bootstrap.speedup(pairs),
        interval=bootstrap.speedup_interval(pairs, confidence=CONFIDENCE),
    )


def _median(samples: Samples) -> float:
    return samples.median


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A limit of this project's, what was observed, and whether it is met; `observed` is None where nothing was."""

    what: str
    observed: float | None
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"

    def __bool__(self) -> bool:
        if self.observed is None:
            return False
        if self.at_least is not None and self.observed < self.at_least:
            return False
        return self.at_most is None or self.observed <= self.at_most


def wanted(against: dict[str, tuple[Ratio, ...]]) -> tuple[Wanted, ...]:
    """What is wanted of latency, from the ratios against each peer, by its title."""
    return (
        Wanted(what="faster than PyTorch eager, mean", observed=_mean(against, EAGER), at_least=7.5),
        Wanted(what="faster than Optimum INT8, mean", observed=_mean(against, OPTIMUM), at_least=1.25),
        Wanted(what="faster than Optimum INT8, worst shape", observed=_worst(against, OPTIMUM), at_least=1.0),
        Wanted(
            what="time over OpenVINO INT8's, mean", observed=_inverse(_mean(against, OPENVINO)), at_most=1.08
        ),
        Wanted(
            what="time over OpenVINO INT8's, worst shape",
            observed=_inverse(_worst(against, OPENVINO)),
            at_most=1.2,
        ),
    )


EAGER, OPTIMUM, OPENVINO = "PyTorch eager fp32", "Optimum INT8", "OpenVINO INT8"


def _mean(against: dict[str, tuple[Ratio, ...]], title: str) -> float | None:
    return next((ratio.value for ratio in against.get(title, ()) if ratio.shape is None), None)


def _worst(against: dict[str, tuple[Ratio, ...]], title: str) -> float | None:
    return min((ratio.value for ratio in against.get(title, ()) if ratio.shape is not None), default=None)


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1 / value
