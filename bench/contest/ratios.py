"""Ratios of times with their intervals. Several presets of one peer count as one opponent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from distilforge.manifest import Measurement
from distilforge.timing import ratios as engine
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

# Each end of an interval is one-sided, so both ends together are at 95%
CONFIDENCE = 0.975
_FASTEST = "the fastest preset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The time of an opponent over that of the judged row: above 1 if the judged row is faster."""

    opponent: str
    """A row, or the family of several rows."""
    shape: Shape | None
    """None for the geometric mean over all shapes."""
    estimate: Estimate
    """The ratio with its interval."""

    @property
    def value(self) -> float:
        """The median over the rounds."""
        return self.estimate.value


def ratios(timing: Timing, judged: str, opponents: Sequence[str], *, title: str) -> tuple[Ratio, ...]:
    """A ratio for each shape and the geometric mean, to the fastest of `opponents` at each shape.

    If `judged` or all opponents refused a shape, it does not have a ratio, and there is no mean either. An interval
    does not include the uncertainty about which opponent is the fastest.
    """
    measurements = (
        *engine.by_shape(timing.measurements, judged).values(),
        *_fastest(timing, opponents),
    )
    ratios = []
    for shape in (*timing.shapes, None):
        estimate = engine.ratio(
            measurements,
            judged,
            _FASTEST,
            shapes=timing.shapes if shape is None else (shape,),
            confidence=CONFIDENCE,
            apart=timing.steadiness.apart,
        )
        if estimate is not None:
            ratios.append(Ratio(opponent=title, shape=shape, estimate=estimate))
    return tuple(ratios)


def _fastest(timing: Timing, names: Sequence[str]) -> list[Measurement]:
    """At each shape the measurement of the fastest of `names`, all under one name."""
    measurements = []
    for shape in timing.shapes:
        seconds = {
            name: estimate.value
            for name in names
            if (estimate := timing.seconds(name, shape, confidence=CONFIDENCE)) is not None
        }
        if seconds:
            fastest = min(seconds, key=seconds.__getitem__)
            measurement = engine.by_shape(timing.measurements, fastest)[shape]
            measurements.append(replace(measurement, subject=_FASTEST))
    return measurements
