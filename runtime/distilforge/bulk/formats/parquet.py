"""Apache Parquet."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow
import pyarrow.parquet

from distilforge.bulk.formats import Reading, WriteBatch, formats
from distilforge.bulk.rows import BATCH_ROWS, Row
from distilforge.errors import InputError

GROUP_ROWS = 64 * BATCH_ROWS
"""The rows of a row group of the output ..."""
GROUP_BYTES = 64 << 20
"""... unless they have more bytes than this."""


class Parquet:
    """Files with the suffix .parquet."""

    def read(self, file: BinaryIO, size_bytes: int, columns: Sequence[str]) -> Reading:
        try:
            opened = pyarrow.parquet.ParquetFile(file)
        except (pyarrow.ArrowException, OSError) as problem:
            raise InputError(f"it is not a Parquet file: {problem}") from problem
        count: int = opened.metadata.num_rows
        names = tuple(str(name) for name in opened.schema_arrow.names)
        rows = _Rows(opened, [name for name in names if name in columns])
        return Reading(columns=names, rows=iter(rows), fraction=lambda: rows.read / max(count, 1))

    @contextmanager
    def writer(self, file: BinaryIO, schema: pyarrow.Schema) -> Iterator[WriteBatch]:
        group: list[pyarrow.RecordBatch] = []
        with pyarrow.parquet.ParquetWriter(file, schema) as parquet:

            def flush() -> None:
                if group:
                    table = pyarrow.Table.from_batches(group)
                    parquet.write_table(table, row_group_size=max(table.num_rows, 1))
                    group.clear()

            def write(batch: pyarrow.RecordBatch) -> None:
                group.append(batch)
                rows: int = sum(entry.num_rows for entry in group)
                size_bytes: int = sum(entry.nbytes for entry in group)
                if rows >= GROUP_ROWS or size_bytes >= GROUP_BYTES:
                    flush()

            yield write
            flush()


class _Rows:
    """The rows of a Parquet file; `read` counts them."""

    def __init__(self, file: pyarrow.parquet.ParquetFile, columns: list[str]) -> None:
        self._file = file
        self._columns = columns
        self.read = 0

    def __iter__(self) -> Iterator[Row]:
        try:
            for batch in self._file.iter_batches(batch_size=BATCH_ROWS, columns=self._columns):
                rows: list[Row] = batch.to_pylist()
                for row in rows:
                    self.read += 1
                    yield row
        except (pyarrow.ArrowException, OSError) as problem:
            raise InputError(f"the Parquet file cannot be read after row {self.read}: {problem}") from problem


formats.register("parquet")(Parquet())
