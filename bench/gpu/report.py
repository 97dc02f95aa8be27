"""The result of a run on a GPU, and the limits of its engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.contest.contest import Contest
from bench.contest.limit import Limit
from bench.contest.ratios import CONFIDENCE, Ratio
from bench.gpu.memory import Memory
from bench.models.sizes import operations

EAGER, SDPA = "eager", "SDPA"
LARGE = Shape(batch=32, tokens=128)
SMALL = Shape(batch=1, tokens=128)
MOST_OVER_CEILING = 2.0
LEAST_OVER_EAGER = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport:
    """The contest on a GPU, and the memory that each subject takes."""

    contest: Contest
    """Latency of the columns."""
    memory: Mapping[tuple[str, Shape], Memory]
    """The memory of each column at each shape, while it is alone on the device."""
    limits: tuple[Limit, ...]
    """The limits, and whether they are met."""
    with_copies: Mapping[str, tuple[Ratio, ...]] = field(default_factory=dict)
    """The time of every column with copies over that of our engine with copies."""


def engine_limits(timing: Timing, engine: str | None, ceiling: float) -> tuple[Limit, ...]:
    """The limits of the column `engine`; `ceiling` is in operations per second.

    A limit is not observed if the engine, eager PyTorch or the limit's shape was not timed.
    """

    def seconds(column: str | None, shape: Shape) -> float | None:
        estimate = timing.seconds(column or "", shape, confidence=CONFIDENCE)
        return None if estimate is None else estimate.value

    large, small, eager = seconds(engine, LARGE), seconds(engine, SMALL), seconds(EAGER, SMALL)
    return (
        Limit(
            what=f"time of {LARGE} over that of its matrix products at the ceiling",
            observed=None if large is None else large * ceiling / operations(LARGE),
            at_most=MOST_OVER_CEILING,
        ),
        Limit(
            what=f"faster than eager fp16 at {SMALL}",
            observed=None if small is None or eager is None else eager / small,
            at_least=LEAST_OVER_EAGER,
        ),
    )
