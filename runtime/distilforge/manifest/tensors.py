"""The inputs and outputs of a release's graphs, and the sizes that their axes may have."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The sizes that one dynamic axis may have."""

    low: int
    """The smallest size."""
    usual: int
    """The size that engines are tuned for."""
    high: int
    """The largest size."""

    def __contains__(self, size: int) -> bool:
        return self.low <= size <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output of a graph."""

    name: str
    """Its name in the graph."""
    dtype: str
    """The name of its numpy dtype."""
    shape: tuple[int | str, ...]
    """For each dimension, its size or the name of its axis."""
