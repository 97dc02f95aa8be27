"""CSV with a header, commas and quotation marks, as RFC 4180 has it; lists and objects are JSON in a cell."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow

from distilforge.bulk.formats import Reading, WriteBatch, formats, rows_of
from distilforge.bulk.formats.lines import LONE_RETURN, MOST_LINE_BYTES, NOT_UTF_8, TOO_LONG, lines
from distilforge.bulk.rows import Row, UnreadableRow
from distilforge.errors import InputError

_MOST_COLUMNS = 100_000
_FIRST_LINE = "the first line has the names of the columns"
_OPEN_QUOTE = "a quote is opened in it and not closed before the end of the file"
_OTHER_SEPARATORS = (";", "\t", "|")
# What `surrogateescape` adds to a byte
_ESCAPED = 0xDC00


class Csv:
    """Files with the suffix .csv."""

    def read(self, file: BinaryIO, size_bytes: int, columns: Sequence[str]) -> Reading:
        # It is one limit for the whole process; _Lines limits rows
        csv.field_size_limit(max(csv.field_size_limit(), MOST_LINE_BYTES))
        text = _Lines(file)
        cells = csv.reader(text)
        header = _header(cells, columns, text)
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
            for rows in rows_of(batch):
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
                # Bytes that are not UTF-8 become halves of surrogate pairs; only the cells that are read must have none
                yield line.decode(errors="surrogateescape")
        self.is_at_end = True


def _header(cells: Iterator[list[str]], columns: Sequence[str], text: _Lines) -> list[str]:
    """The names of the columns; InputError for a header that does not tell them."""
    try:
        header = next(cells, None)
    except csv.Error as problem:
        raise InputError(
            f"the header of the CSV file cannot be read: {_reason(problem, text)}",
            hint="save the file with lines that end in LF, the first one with the names of the columns",
        ) from problem
    if not header:
        found = "the CSV file is empty" if header is None else "the first line of the CSV file is blank"
        raise InputError(found, hint=_FIRST_LINE)
    if text.is_at_end:
        raise InputError(f"the header of the CSV file cannot be read: {_OPEN_QUOTE}", hint=_FIRST_LINE)
    for name in header:
        # Half of the bytes of UTF-16 are zero
        byte = 0 if "\0" in name else _wrong_byte(name)
        if byte is not None:
            raise InputError(
                f"the header of the CSV file is not UTF-8 text: it has the byte 0x{byte:02x}", hint=NOT_UTF_8
            )
    if len(set(header)) < len(header):
        raise InputError(
            f"the header of the CSV file must name every column once, found {header!r:.200}", hint=_FIRST_LINE
        )
    if len(header) > _MOST_COLUMNS:
        raise InputError(
            f"the header of the CSV file has {len(header):,} columns; at most {_MOST_COLUMNS:,} are read",
            hint="leave out the columns that are not needed",
        )
    only = header[0]
    if len(header) == 1 and only not in columns and any(other in only for other in _OTHER_SEPARATORS):
        raise InputError(
            f"the header of the CSV file is one column, {only!r:.200}",
            hint="columns are separated by commas; save the file with them",
        )
    return header


def _reason(problem: csv.Error, text: _Lines) -> str:
    """Why the reader refuses a row or the header."""
    if text.is_too_long:
        return TOO_LONG
    # Python's own words are about how the program opens the file
    return LONE_RETURN if "new-line character" in str(problem) else str(problem)


def _wrong_byte(text: str) -> int | None:
    """The first byte of `text` that is not UTF-8, if there is one."""
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        return ord(text[problem.start]) - _ESCAPED
    return None


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
            reason = _reason(problem, text)
            yield UnreadableRow(reason=reason if text.is_too_long else f"the row is not CSV: {reason}")
            continue
        if row is None:
            return
        if text.is_at_end:
            # Only a cell in quotes makes the reader ask for more lines before a row is complete
            yield UnreadableRow(reason=_OPEN_QUOTE)
            return
        if not row:  # a blank line
            continue
        if len(row) == len(header):
            yield _row({name: row[place] for name, place in places.items()})
        else:
            yield UnreadableRow(reason=f"the row has {len(row)} cells, and the header has {len(header)}")


def _row(values: Mapping[str, str]) -> Row | UnreadableRow:
    for name, value in values.items():
        if (byte := _wrong_byte(value)) is not None:
            return UnreadableRow(
                reason=f"the row is not UTF-8: the column {name!r:.80} has the byte 0x{byte:02x}; {NOT_UTF_8}"
            )
    return values


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _text(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


formats.register("csv")(Csv())
