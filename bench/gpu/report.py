"""What a run on a GPU found, and what is wanted of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.contest import Contest
from bench.gpu.process import Memory
from bench.prepared import Absent
from bench.ratios import Ratio, Wanted
from bench.ratios import ratios as ratios_of
from bench.shapes import Shape
from bench.sizes import attention_operations, linear_operations

EAGER, SDPA = "eager", "SDPA"
LARGE = Shape(batch=32, tokens=128)
SMALL = Shape(batch=1, tokens=128)
MOST_OVER_LIMIT = 2.0
LEAST_OVER_EAGER = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport:
    """Conditions and settings by name; samples; memory by column and shape; operations a second of the ceiling.

    ours: the engine that is judged, None where none could be run. against: ratios to it, by column.
    """

    conditions: Mapping[str, str]
    settings: Mapping[str, str]
    contest: Contest
    memory: Mapping[tuple[str, Shape], Memory]
    differences: Mapping[str, float]
    absent: tuple[Absent, ...]
    ours: str | None
    against: Mapping[str, tuple[Ratio, ...]]
    ceiling: float
    wanted: tuple[Wanted, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """In the order opened."""
        return tuple(dict.fromkeys(one.contestant for one in self.contest.samples))


def operations(shape: Shape) -> int:
    """Operations of the encoder's matrix products; the classifier's are fewer by far."""
    return linear_operations(shape.batch * shape.tokens) + attention_operations(shape.batch, shape.tokens)


def judged(columns: Sequence[str], engines: Sequence[str]) -> str | None:
    """The engine that stands for ours among the columns that ran: the first of `engines`."""
    return next((title for title in engines if title in columns), None)


def against(contest: Contest, columns: Sequence[str], ours: str | None) -> dict[str, tuple[Ratio, ...]]:
    """Every other column's time over ours, with intervals."""
    if ours is None:
        return {}
    return {title: ratios_of(contest, ours, [title], title=title) for title in columns if title != ours}


def wanted(contest: Contest, ours: str | None, ceiling: float) -> tuple[Wanted, ...]:
    """What is wanted of our engine; not observed where it, eager or the shape was not timed."""

    def seconds(column: str | None, shape: Shape) -> float | None:
        timed = any((one.contestant, one.shape) == (column, shape) for one in contest.samples)
        return contest.of(column, shape).median if column is not None and timed else None

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
