"""How a variant was judged: the checks with their limits, and the task's metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Comparison = Literal["at most", "at least"]
Outcome = Literal["met", "not met", "not settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of one check, with its number, its limit and the limit's reason. It is false if the check failed."""

    check: str
    """What was checked, in words."""
    observed: float
    """The number that is compared with the limit; for statistics, the unfavourable end of the interval."""
    comparison: Comparison
    """On which side of the limit the observed number must lie."""
    limit: float
    """The bound."""
    unit: str
    """The unit of the observed number and of the limit."""
    reason: str
    """Why the limit is what it is."""
    interval: tuple[float, float] | None = None
    """Both ends of the confidence interval, each one-sided; None for a number that is counted and not estimated."""
    kind: str = ""
    """Names the check for programs, with the same word for every variant and release; empty in older releases."""
    settled: bool = True
    """False if the measurement cannot tell, which is neither a failure nor a claim."""

    @property
    def outcome(self) -> Outcome:
        """Whether the observed number meets the limit."""
        if not self.settled:
            return "not settled"
        within = self.observed <= self.limit if self.comparison == "at most" else self.observed >= self.limit
        return "met" if within else "not met"

    def __bool__(self) -> bool:
        return self.outcome != "not met"


def proves_validity(verdicts: Sequence[Verdict]) -> bool:
    """Whether a variant with these verdicts is validated: at least one check was met, and none failed."""
    return all(verdicts) and any(verdict.outcome == "met" for verdict in verdicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of the task on the evaluation data."""

    name: str
    """Such as `accuracy`."""
    eager: float
    """Its value for eager PyTorch."""
    variant: float
    """Its value for the variant."""
    examples: int
    """How many examples it was computed from."""
