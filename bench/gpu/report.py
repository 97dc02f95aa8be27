"""What a run on a GPU found, and what is wanted of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.gpu.memory import Memory
from bench.ratios import CONFIDENCE, Ratio, Wanted
from bench.ratios import ratios as ratios_of
from bench.rows import Absent
from bench.sizes import attention_operations, linear_operations

EAGER, SDPA = "eager", "SDPA"
LARGE = Shape(batch=32, tokens=128)
SMALL = Shape(batch=1, tokens=128)
MOST_OVER_LIMIT = 2.0
LEAST_OVER_EAGER = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport:
    """Everything that a run on a GPU found."""

    conditions: Mapping[str, str]
    """What the run was taken under, by name."""
    settings: Mapping[str, str]
    """How each column is set up and timed, in the order of the tables."""
    timing: Timing
    """Every run, and whether they were steady."""
    memory: Mapping[tuple[str, Shape], Memory]
    """By column and shape, alone on the device."""
    differences: Mapping[str, float]
    """The largest difference of any logit from eager's, by column."""
    absent: tuple[Absent, ...]
    """What was left out."""
    ours: str | None
    """The engine that is judged, None where none could be run."""
    against: Mapping[str, tuple[Ratio, ...]]
    """Ratios to it, by column."""
    ceiling: float
    """Operations a second of a large fp16 product."""
    wanted: tuple[Wanted, ...]
    """The limits."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order of the tables."""
        return tuple(self.settings)


def operations(shape: Shape) -> int:
    """Operations of the encoder's matrix products; the classifier's are fewer by far."""
    return linear_operations(shape.batch * shape.tokens) + attention_operations(shape.batch, shape.tokens)


def judged(columns: Sequence[str], engines: Sequence[str]) -> str | None:
    """The engine that stands for ours among the columns that ran: the first of `engines`."""
    return next((title for title in engines if title in columns), None)


def against(timing: Timing, columns: Sequence[str], ours: str | None) -> dict[str, tuple[Ratio, ...]]:
    """Every other column's time over ours, with intervals."""
    if ours is None:
        return {}
    return {title: ratios_of(timing, ours, [title], title=title) for title in columns if title != ours}


def wanted(timing: Timing, ours: str | None, ceiling: float) -> tuple[Wanted, ...]:
    """What is wanted of our engine; not observed where it, eager or the shape was not timed."""

    def seconds(column: str | None, shape: Shape) -> float | None:
        estimate = timing.seconds(column or "", shape, confidence=CONFIDENCE)
        return None if estimate is None else estimate.value

    large, small, eager = seconds(ours, LARGE), seconds(ours, SMALL), seconds(EAGER, SMALL)
    return (
        Wanted(
            what=f"time of {LARGE} over that of its matrix products at the ceiling",
            observed=None if large is None else large * ceiling / operations(LARGE),
            at_most=MOST_OVER_LIMIT,
        ),
        Wanted(
            what=f"faster than eager fp16 at {SMALL}",
            observed=None if small is None or eager is None else eager / small,
            at_least=LEAST_OVER_EAGER,
        ),
    )
