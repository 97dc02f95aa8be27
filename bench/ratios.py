"""Ratios of times by the timing engine, with the presets of a peer as one, and what is wanted of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from distilforge.manifest import Measurement
from distilforge.timing import ratios as engine
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

# Each end of an interval one-sided, so 95% between both
CONFIDENCE = 0.975
_PEER = "the fastest preset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Time of an opponent over ours: above 1 where ours is faster."""

    opponent: str
    """A row, or the family of several."""
    shape: Shape | None
    """None for the geometric mean over all shapes."""
    estimate: Estimate
    """The ratio with its interval."""

    @property
    def value(self) -> float:
        """The median over rounds."""
        return self.estimate.value


def ratios(timing: Timing, ours: str, opponents: Sequence[str], *, title: str) -> tuple[Ratio, ...]:
    """Per shape and as geometric mean, against the fastest of `opponents` at each shape: presets of one peer.

    A shape that ours or all of them refused has none, and then there is no mean either. An interval takes the choice of
    the fastest as given.
    """
    measurements = (*engine.by_shape(timing.measurements, ours).values(), *_fastest(timing, opponents))
    ratios = []
    for shape in (*timing.shapes, None):
        estimate = engine.ratio(
            measurements,
            ours,
            _PEER,
            shapes=timing.shapes if shape is None else (shape,),
            confidence=CONFIDENCE,
            apart=timing.steadiness.apart,
        )
        if estimate is not None:
            ratios.append(Ratio(opponent=title, shape=shape, estimate=estimate))
    return tuple(ratios)


def _fastest(timing: Timing, names: Sequence[str]) -> list[Measurement]:
    """At each shape the measurement of the fastest of `names`, all under one name."""
    chosen = []
    for shape in timing.shapes:
        seconds = {
            name: estimate.value
            for name in names
            if (estimate := timing.seconds(name, shape, confidence=CONFIDENCE)) is not None
        }
        if seconds:
            fastest = min(seconds, key=seconds.__getitem__)
            chosen.append(replace(engine.by_shape(timing.measurements, fastest)[shape], subject=_PEER))
    return chosen


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


def wanted(against: Mapping[str, tuple[Ratio, ...]]) -> tuple[Wanted, ...]:
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


def _mean(against: Mapping[str, tuple[Ratio, ...]], title: str) -> float | None:
    return next((ratio.value for ratio in against.get(title, ()) if ratio.shape is None), None)


def _worst(against: Mapping[str, tuple[Ratio, ...]], title: str) -> float | None:
    # Of some shapes alone it would say nothing
    if _mean(against, title) is None:
        return None
    return min((ratio.value for ratio in against.get(title, ()) if ratio.shape is not None), default=None)


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1 / value
