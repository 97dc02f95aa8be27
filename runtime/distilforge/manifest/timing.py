"""How fast the variants ran, and whether the machine was steady enough to claim anything."""

from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Every timed run of one subject at one shape. Raises ValueError if `runs` does not divide `seconds`."""

    subject: str
    """The name of a variant, or `eager`."""
    batch: int
    """How many texts were in the batch."""
    tokens: int
    """How many tokens every text had."""
    seconds: tuple[float, ...]
    """The time of each run, in the order taken."""
    runs: tuple[int, ...] = ()
    """How many of the runs each round holds, in order; empty if every round is one run."""

    def __post_init__(self) -> None:
        if self.runs and (sum(self.runs) != len(self.seconds) or min(self.runs) < 1):
            raise ValueError(
                f"runs must be at least 1 each and add up to the {len(self.seconds)} seconds, "
                f"found the sum {sum(self.runs)}"
            )

    @property
    def rounds(self) -> tuple[tuple[float, ...], ...]:
        """The seconds of each round."""
        if not self.runs:
            return tuple((taken,) for taken in self.seconds)
        ends = tuple(accumulate(self.runs))
        return tuple(self.seconds[end - count : end] for end, count in zip(ends, self.runs, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """Whether a timing can be relied on, and how busy the machine was meanwhile.

    A number that the system does not report is None.
    """

    steady: bool
    """Whether times and ratios are claimed."""
    reasons: tuple[str, ...]
    """Why the timing is not steady, a clause each; empty if it is."""
    rounds: int
    """How often every subject had its turn at every shape."""
    apart: tuple[int, ...] = ()
    """The rounds, counted from 0, that ratios leave out because the two cores shared no cache."""
    spread: float = 0.0
    """The interquartile range divided by the median, of the subject and shape whose rounds differ most."""
    others_cores: float | None = None
    """Processor seconds that other processes took each second, on average."""
    stolen_cores: float | None = None
    """Processor seconds that the hypervisor took each second, on average."""
    interruptions: float | None = None
    """Involuntary context switches of the subjects each second, on average."""
    megahertz: tuple[float, float] | None = None
    """The lowest and the highest clock rate."""
    round_trip_nanoseconds: tuple[float, float] | None = None
    """The shortest and the longest time of a message between two cores and back."""
