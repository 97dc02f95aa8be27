"""The rows of an input, and the batches that they are answered in."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

BATCH_ROWS = 256
"""The most rows of a batch. Batches depend on the rows alone, so that every run answers the same rows together."""
BATCH_CHARACTERS = 2_000_000
"""A batch ends with the row that brings it to so many characters, so that no file can fill the memory."""
# What a value takes besides its text
_VALUE_CHARACTERS = 64

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
    """The rows, in the order of the input; BATCH_ROWS of them, or fewer if they are long or the last ones."""
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
    """The batches of `rows` after the first `skip` ones, with which a batch ends."""
    first = size = 0
    batch: list[Row | UnreadableRow] = []
    for row in rows:
        batch.append(row)
        size += 0 if isinstance(row, UnreadableRow) else _characters(row)
        if len(batch) == BATCH_ROWS or size >= BATCH_CHARACTERS:
            if first >= skip:
                yield Batch(first=first, rows=tuple(batch), fraction=fraction())
            first += len(batch)
            batch, size = [], 0
    if batch and first >= skip:
        yield Batch(first=first, rows=tuple(batch), fraction=fraction())


def _characters(value: object) -> int:
    """About how many characters of memory `value` takes."""
    if isinstance(value, str):
        return len(value) + _VALUE_CHARACTERS
    if isinstance(value, Mapping):
        return sum(map(_characters, value.values()), _VALUE_CHARACTERS)
    if isinstance(value, (list, tuple)):
        return sum(map(_characters, value), _VALUE_CHARACTERS)
    return _VALUE_CHARACTERS
