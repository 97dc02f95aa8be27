"""JSON Lines: an object on each line. Blank lines are not rows."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow

from distilforge import json_text
from distilforge.bulk.formats import Reading, WriteBatch, formats
from distilforge.bulk.formats.lines import MOST_LINE_BYTES, lines
from distilforge.bulk.rows import Row, UnreadableRow


class JsonLines:
    """Files with the suffix .jsonl."""

    def read(self, file: BinaryIO, size_bytes: int, columns: Sequence[str]) -> Reading:
        return Reading(
            columns=None,
            rows=(_row(line) for line in lines(file) if line is None or line.strip()),
            fraction=lambda: file.tell() / max(size_bytes, 1),
        )

    @contextmanager
    def writer(self, file: BinaryIO, schema: pyarrow.Schema) -> Iterator[WriteBatch]:
        def write(batch: pyarrow.RecordBatch) -> None:
            rows: list[dict[str, object]] = batch.to_pylist()
            file.write("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode())

        yield write


def _row(line: bytes | None) -> Row | UnreadableRow:
    if line is None:
        return UnreadableRow(reason=f"the line has more than {MOST_LINE_BYTES >> 20} MiB")
    try:
        value = json_text.parse(line.decode())
    except ValueError as problem:
        return UnreadableRow(reason=f"the line is not JSON: {problem}")
    if not isinstance(value, dict):
        return UnreadableRow(reason=f"the line must be a JSON object, found {value!r:.80}")
    return value


formats.register("jsonl")(JsonLines())
