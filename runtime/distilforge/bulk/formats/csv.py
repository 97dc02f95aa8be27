"""CSV with a header, commas and quotation marks, as RFC 4180 has it; lists and objects are JSON in a cell."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow

from distilforge.bulk.formats import Reading, WriteBatch, formats
from distilforge.bulk.formats.lines import lines
from distilforge.bulk.rows import Row, UnreadableRow
from distilforge.errors import InputError


class Csv:
    """Files with the suffix .csv."""

    def read(self, file: BinaryIO, size_bytes: int, columns: Sequence[str]) -> Reading:
        # Bytes that are not UTF-8 become halves of surrogate pairs, which the session refuses row by row
        cells = csv.reader((line or b"").decode(errors="surrogateescape") for line in lines(file))
        try:
            header = next(cells, None)
        except csv.Error as problem:
            raise InputError(f"the header of the CSV file cannot be read: {problem}") from problem
        if not header or len(set(header)) < len(header):
            raise InputError(
                f"the header of the CSV file must name every column once, found {header!r:.200}",
                hint="the first line has the names of the columns",
            )
        return Reading(
            columns=tuple(header),
            rows=_rows(cells, header),
            fraction=lambda: file.tell() / max(size_bytes, 1),
        )

    @contextmanager
    def writer(self, file: BinaryIO, schema: pyarrow.Schema) -> Iterator[WriteBatch]:
        file.write(_text([schema.names]))

        def write(batch: pyarrow.RecordBatch) -> None:
            rows: list[dict[str, object]] = batch.to_pylist()
            file.write(_text([[_cell(value) for value in row.values()] for row in rows]))

        yield write


def _rows(cells: Iterator[list[str]], header: list[str]) -> Iterator[Row | UnreadableRow]:
    while True:
        try:
            row = next(cells, None)
        except csv.Error as problem:
            # The reader continues with the next line
            yield UnreadableRow(reason=f"the row is not CSV: {problem}")
            continue
        if row is None:
            return
        if not row:  # a blank line
            continue
        if len(row) == len(header):
            yield dict(zip(header, row, strict=True))
        else:
            yield UnreadableRow(reason=f"the row has {len(row)} cells, and the header has {len(header)}")


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _text(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


formats.register("csv")(Csv())
