"""CSV with a header, commas and quotation marks, as RFC 4180 has it; lists and objects are JSON in a cell."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow

from distilforge.bulk.formats import Reading, WriteBatch, formats
from distilforge.bulk.formats.lines import MOST_LINE_BYTES, TOO_LONG, lines
from distilforge.bulk.rows import Row, UnreadableRow
from distilforge.errors import InputError

_MOST_COLUMNS = 100_000


class Csv:
    """Files with the suffix .csv."""

    def read(self, file: BinaryIO, size_bytes: int, columns: Sequence[str]) -> Reading:
        text = _Lines(file)
        cells = csv.reader(text)
        try:
            header = next(cells, None)
        except csv.Error as problem:
            raise InputError(f"the header of the CSV file cannot be read: {problem}") from problem
        if not header or len(set(header)) < len(header):
            raise InputError(
                f"the header of the CSV file must name every column once, found {header!r:.200}",
                hint="the first line has the names of the columns",
            )
        if len(header) > _MOST_COLUMNS:
            raise InputError(
                f"the header of the CSV file has {len(header):,} columns; at most {_MOST_COLUMNS:,} are read",
                hint="leave out the columns that are not needed",
            )
        return Reading(
            columns=tuple(header),
            rows=_rows(cells, header, columns, text),
            fraction=lambda: file.tell() / max(size_bytes, 1),
            tells_empty_from_null=False,
        )

    @contextmanager
    def writer(self, file: BinaryIO, schema: pyarrow.Schema) -> Iterator[WriteBatch]:
        file.write(_text([schema.names]))

        def write(batch: pyarrow.RecordBatch) -> None:
            rows: list[dict[str, object]] = batch.to_pylist()
            file.write(_text([[_cell(value) for value in row.values()] for row in rows]))

        yield write


class _Lines:
    """The lines of a file, as text, for the reader of one row after the other.

    In the place of a line with which the row becomes too long comes a cell that the reader refuses: it then goes on
    with the next line.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._lines = lines(file)
        self._row_bytes = 0
        self.is_too_long = False
        """Whether the row was too long."""
        self.is_at_end = False
        """Whether the reader asked for a line after the last one."""

    def start_row(self) -> None:
        """Count the bytes of a new row."""
        self._row_bytes = 0
        self.is_too_long = False

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._row_bytes += MOST_LINE_BYTES + 1 if line is None else len(line)
            self.is_too_long = self._row_bytes > MOST_LINE_BYTES
            if line is None or self.is_too_long:
                yield "x" * (csv.field_size_limit() + 1)
            else:
                # Bytes that are not UTF-8 become halves of surrogate pairs, which the session refuses row by row
                yield line.decode(errors="surrogateescape")
        self.is_at_end = True


def _rows(
    cells: Iterator[list[str]], header: Sequence[str], columns: Sequence[str], text: _Lines
) -> Iterator[Row | UnreadableRow]:
    """The rows, each with those of `columns` that the header has."""
    places = {name: header.index(name) for name in columns if name in header}
    while True:
        text.start_row()
        try:
            row = next(cells, None)
        except csv.Error as problem:
            # The reader continues with the next line
            yield UnreadableRow(reason=TOO_LONG if text.is_too_long else f"the row is not CSV: {problem}")
            continue
        if row is None:
            return
        if text.is_at_end:
            # Only a cell in quotes makes the reader ask for more lines before a row is complete
            yield UnreadableRow(reason="a quote is opened in it and not closed before the end of the file")
            return
        if not row:  # a blank line
            continue
        if len(row) == len(header):
            yield {name: row[place] for name, place in places.items()}
        else:
            yield UnreadableRow(reason=f"the row has {len(row)} cells, and the header has {len(header)}")


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _text(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


formats.register("csv")(Csv())
