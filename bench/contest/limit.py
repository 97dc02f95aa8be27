"""A limit that this project sets itself, and whether a run met it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit with the observed number; it is true if the limit is met."""

    what: str
    """The quantity, for readers."""
    observed: float | None
    """The observed number; None if it was not measured, in which case the limit is missed."""
    at_least: float | None = None
    """The lower bound, if there is one."""
    at_most: float | None = None
    """The upper bound, if there is one."""
    unit: str = "x"
    """The unit of all three numbers."""

    def __bool__(self) -> bool:
        if self.observed is None:
            return False
        if self.at_least is not None and self.observed < self.at_least:
            return False
        return self.at_most is None or self.observed <= self.at_most
