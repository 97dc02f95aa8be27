"""How inputs are read and outputs are written: one file per format, named like the suffix of its files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import pyarrow

from distilforge.bulk.rows import Row, UnreadableRow
from distilforge.errors import InputError
from distilforge.registry import Registry, nearest

_ROWS_AT_ONCE = 8
WriteBatch = Callable[[pyarrow.RecordBatch], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A file that is being read."""

    columns: tuple[str, ...] | None
    """The names of its columns; None for a format in which every row has its own."""
    rows: Iterator[Row | UnreadableRow]
    """Its rows, in order, read when they are asked for."""
    fraction: Callable[[], float]
    """How much of the file was read, from 0 to 1."""
    tells_empty_from_null: bool = True
    """Whether an empty text and no text are written differently."""


def rows_of(batch: pyarrow.RecordBatch) -> Iterator[list[dict[str, object]]]:
    """The rows of `batch` as Python's objects, a few at a time: those of embeddings of tokens are large."""
    for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
        rows: list[dict[str, object]] = batch.slice(start, _ROWS_AT_ONCE).to_pylist()
        yield rows


class Format(Protocol):
    """A kind of files with rows."""

    def read(self, file: BinaryIO, size_bytes: int, columns: Sequence[str]) -> Reading:
        """Read `file`, of which `columns` are wanted; InputError if it is not of this format."""

    def writer(self, file: BinaryIO, schema: pyarrow.Schema) -> AbstractContextManager[WriteBatch]:
        """Writes record batches of `schema` to `file`, which is complete when the context ends."""


formats: Registry[Format] = Registry(__name__)
"""The formats by the suffix of their files, without the dot."""


def format_of(url: str) -> Format:
    """The format of a file by the suffix of its name; InputError if there is none for it."""
    suffix = url.rsplit("/", 1)[-1].rpartition(".")[2].lower()
    known = formats.get(suffix) if suffix in formats.names() else None
    if known is None:
        raise InputError(
            f"{url!r:.200} does not have the suffix of a format that can be read and written",
            hint=nearest(f".{suffix}", tuple(f".{name}" for name in formats.names())),
        )
    return known
