"""Which rows of a file are timed, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from distilforge.timing.shape import Shape

MOST_ROWS = 100
"""How many rows are timed, the first ones of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """Which rows to time, and how they are answered."""

    file: str
    """A path or URL of JSONL, CSV or Parquet, as `distilforge run` reads it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The column of the file by the head's name for it, where the two differ."""
    call_options: Mapping[str, object] = field(default_factory=dict)
    """Options of the session's call, such as {"truncation": "truncate"}."""
    together: bool = False
    """Whether all rows are the list of one call; else each row has a call of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The rows that are timed."""

    file: str
    """The file's URL, without credentials."""
    rows: int
    """How many rows there are."""
    tokens: int
    """All their tokens, those of every window and choice included."""
    together: bool
    """Whether all rows are the list of one call."""

    @property
    def calls(self) -> str:
        """How the rows are answered, in words."""
        return "in one call" if self.together else "each in a call of its own"

    @property
    def shape(self) -> Shape:
        """Rows x the mean of their tokens, rounded."""
        return Shape(batch=self.rows, tokens=max(1, round(self.tokens / self.rows)))
