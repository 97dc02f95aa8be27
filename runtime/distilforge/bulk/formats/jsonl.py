"""JSON Lines: an object on each line. Blank lines are not rows."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO

import pyarrow

from distilforge import json_text
from distilforge.bulk.formats import Reading, WriteBatch, formats, rows_of
from distilforge.bulk.formats.lines import LONE_RETURN, NOT_UTF_8, TOO_LONG, lines
from distilforge.bulk.rows import Row, UnreadableRow

_MOST_VALUES = 100_000
# An error names some of the columns that a row has
_MOST_OTHER_COLUMNS = 20


class JsonLines:
    """Files with the suffix .jsonl."""

    def read(self, file: BinaryIO, size_bytes: int, columns: Sequence[str]) -> Reading:
        return Reading(
            columns=None,
            rows=(_row(line, columns) for line in lines(file) if line is None or line.strip()),
            fraction=lambda: file.tell() / max(size_bytes, 1),
        )

    @contextmanager
    def writer(self, file: BinaryIO, schema: pyarrow.Schema) -> Iterator[WriteBatch]:
        def write(batch: pyarrow.RecordBatch) -> None:
            for rows in rows_of(batch):
                file.write("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode())

        yield write


def _row(line: bytes | None, columns: Sequence[str]) -> Row | UnreadableRow:
    """The row in a line: the wanted columns, and the names of some others with None for their values."""
    if line is None:
        return UnreadableRow(reason=TOO_LONG)
    if sum(map(line.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        return UnreadableRow(reason=f"the line has more than {_MOST_VALUES:,} commas and brackets")
    try:
        text = line.decode()
    except UnicodeDecodeError as problem:
        return UnreadableRow(
            reason=f"the line is not UTF-8: byte 0x{line[problem.start]:02x} at {problem.start}; {NOT_UTF_8}"
        )
    try:
        value = json_text.parse(text)
    except ValueError as problem:
        lone = f"; {LONE_RETURN}" if "\r" in text.strip() else ""
        return UnreadableRow(reason=f"the line is not JSON: {problem}{lone}")
    if not isinstance(value, dict):
        return UnreadableRow(reason=f"the line must be a JSON object, found {value!r:.80}")
    others = islice((name for name in value if name not in columns), _MOST_OTHER_COLUMNS)
    return {
        **{f"{name:.200}": None for name in others},
        **{name: value[name] for name in columns if name in value},
    }


formats.register("jsonl")(JsonLines())
