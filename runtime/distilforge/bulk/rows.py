"""The rows of an input, and the batches that they are answered in."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

BATCH_ROWS = 256
"""The rows of a batch. A batch begins at a multiple of it, so that every run answers the same rows together."""

Row = Mapping[str, object]
"""The values of a row by the names of its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRow:
    """A row that the format's reader cannot read."""

    reason: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Neighbouring rows, which one session answers together."""

    first: int
    """The index of the first row in the input."""
    rows: tuple[Row | UnreadableRow, ...]
    """The rows, in the order of the input; BATCH_ROWS of them, or fewer at the end."""
    fraction: float
    """How much of the input is read with this batch, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a batch became."""

    first: int
    """The index of the first row in the input."""
    rows: int
    """How many rows the batch has."""
    errors: int
    """How many of them are error rows."""
    fraction: float
    """How much of the input was read with this batch, from 0 to 1."""
    table: bytes
    """The rows of the output, as an Arrow IPC stream of one record batch."""


def batches(rows: Iterable[Row | UnreadableRow], fraction: Callable[[], float], skip: int) -> Iterator[Batch]:
    """The batches of `rows` after the first `skip` ones, which are a multiple of BATCH_ROWS or all rows."""
    first = 0
    batch: list[Row | UnreadableRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            if first >= skip:
                yield Batch(first=first, rows=tuple(batch), fraction=fraction())
            first += len(batch)
            batch = []
    if batch and first >= skip:
        yield Batch(first=first, rows=tuple(batch), fraction=fraction())
