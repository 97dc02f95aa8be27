"""What a variant must meet to be published; cheap to import, since the command line needs it."""

import math
from dataclasses import dataclass
from typing import Literal

from validation.errors import GatesError


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The limits, and how the numbers held against them are taken.

    error: largest absolute difference of any output from eager's. margin: largest loss of the head's primary metric
    (eager minus variant, 0.01 is a percentage point). confidence: of every one-sided interval. speedup: least ratio
    eager/variant, 0 to take any. mode: "enforce" refuses to publish, "report" publishes and marks. shapes: batch and
    tokens timed. seconds_per_shape: time spent on each, warm-up left out. threads: None for one a usable core.
    Raises GatesError for a value out of range.
    """

    error: float = 1e-4
    margin: float = 0.01
    confidence: float = 0.95
    speedup: float = 1.0
    mode: Literal["enforce", "report"] = "enforce"
    shapes: tuple[tuple[int, int], ...] = ((1, 16), (1, 128), (8, 128))
    seconds_per_shape: float = 2.5
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("error", "margin", "speedup", "seconds_per_shape"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise GatesError(f"{name} must be a finite number of at least 0, found {value!r}")
        if not 0.5 < self.confidence < 1:
            raise GatesError(
                f"confidence must lie between 0.5 and 1, found {self.confidence!r}", hint="0.95 is usual"
            )
        if self.mode not in ("enforce", "report"):
            raise GatesError(f"mode must be 'enforce' or 'report', found {self.mode!r}")
        if not self.shapes or any(min(shape) < 1 for shape in self.shapes):
            raise GatesError(f"shapes must be pairs of batch and tokens of at least 1, found {self.shapes!r}")
        if self.threads is not None and self.threads < 1:
            raise GatesError(f"threads must be at least 1, found {self.threads!r}")
