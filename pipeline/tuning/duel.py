"""Two plans or three, timed in the same interleaved rounds: how much faster one is than another, with an interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distilforge.manifest import Measurement
from distilforge.session import Session

from validation import bootstrap, latency
from validation.gate import Gates
from validation.latency import Timing
from validation.tasks.base import Served

# Seconds a shape to see who cannot win; the fewest rounds are run in any case.
SCREENING = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The geometric mean over the shapes of another's time divided by one's own; above 1 is faster."""

    ratio: float
    low: float
    high: float

    @property
    def faster(self) -> bool:
        """Shown to be faster: a tie is not."""
        return self.low > 1.0

    def __str__(self) -> str:
        return f"{self.ratio:.3f} ({self.low:.3f} to {self.high:.3f})"

    @property
    def logarithm(self) -> float:
        return math.log(self.ratio)


def speed(timings: Sequence[Timing], challenger: str, incumbent: str, confidence: float) -> Speed:
    """How much faster `challenger` is than `incumbent`, in the same rounds; ends are one-sided at `confidence`."""
    pairs = [timing.pair(challenger, incumbent) for timing in timings]
    low, high = bootstrap.speedup_interval(pairs, confidence=confidence)
    return Speed(ratio=bootstrap.speedup(pairs), low=low, high=high)


def timed(
    subjects: Mapping[str, Session], served: Served, gates: Gates, *, seconds: float
) -> tuple[Timing, ...]:
    """All of `subjects` in turns at each of the gates' shapes, for about `seconds` each."""
    runs = {name: session.run for name, session in subjects.items()}
    return latency.time_all(runs, served, gates.shapes, seconds=seconds)


def measurements(timings: Sequence[Timing]) -> tuple[Measurement, ...]:
    """The raw samples, as the evidence keeps them."""
    return tuple(
        Measurement(subject=subject, batch=timing.batch, tokens=timing.tokens, seconds=seconds)
        for timing in timings
        for subject, seconds in timing.seconds.items()
    )


def timings_of(taken: Sequence[Measurement]) -> tuple[Timing, ...]:
    """The timings that were kept as `taken`."""
    shapes: dict[tuple[int, int], dict[str, tuple[float, ...]]] = {}
    for each in taken:
        shapes.setdefault((each.batch, each.tokens), {})[each.subject] = each.seconds
    return tuple(
        Timing(batch=batch, tokens=tokens, seconds=seconds) for (batch, tokens), seconds in shapes.items()
    )
