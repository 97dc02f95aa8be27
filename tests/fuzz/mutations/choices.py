"""The choices behind a mutation, from bytes that Hypothesis generates and shrinks.

One draw of Hypothesis for each choice would take longer than most inputs.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
BYTES = 96
"""How many bytes give all choices of a mutation."""


class Choices:
    """Choices in the order of the bytes; after their end, and where they are 0, each is the first one."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def number(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        size = 2 if most - least < 1 << 16 else 4
        piece = self._content[self._place : self._place + size]
        self._place += size
        return least + int.from_bytes(piece, "big") % (most - least + 1)

    def of(self, values: Sequence[T]) -> T:
        """One of `values`."""
        return values[self.number(0, len(values) - 1)]

    def once_in(self, times: int) -> bool:
        """True once in so many times."""
        return self.number(0, times - 1) == times - 1
