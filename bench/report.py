"""What a run found, as one object that tables, the plot and the JSON file are made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from distilforge.timing.rounds import Timing

from bench.build_cost import Builds
from bench.products import Share
from bench.ratios import Ratio, Wanted
from bench.rows import Absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a run on a CPU found."""

    conditions: Mapping[str, str]
    """What the run was taken under, by name."""
    settings: Mapping[str, str]
    """How each row is set up, in the order of the tables."""
    timing: Timing
    """Every run, and whether they were steady."""
    differences: Mapping[str, float]
    """The largest difference of any logit from eager PyTorch's, by row."""
    absent: tuple[Absent, ...]
    """What was left out."""
    ours: str | None
    """The row that is judged, None where it could not be made."""
    against: Mapping[str, tuple[Ratio, ...]]
    """Ratios by opponent."""
    ceiling: float
    """Operations a second of a large integer product."""
    share: Share | None
    """Of the time of our file, what matrix products take; None where it could not be made."""
    builds: Mapping[str, Builds]
    """By builder."""
    int8_bytes: int | None
    """The size of our INT8 file."""
    wanted: tuple[Wanted, ...]
    """The limits."""

    @property
    def names(self) -> tuple[str, ...]:
        """The rows, in the order of the tables."""
        return tuple(self.settings)
