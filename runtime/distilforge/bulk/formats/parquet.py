"""Apache Parquet."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow
import pyarrow.parquet

from distilforge.bulk.formats import Reading, WriteBatch, formats
from distilforge.bulk.formats.lines import MOST_LINE_BYTES, TOO_LONG
from distilforge.bulk.rows import BATCH_ROWS, Row, UnreadableRow
from distilforge.errors import InputError
from distilforge.storage import StorageReadError

GROUP_ROWS = 64 * BATCH_ROWS
"""The rows of a row group of the output ..."""
GROUP_BYTES = 64 << 20
"""... unless they have more bytes than this."""
_BATCH_BYTES = 16 << 20
# A thousand bytes of a file can say that one entry is there a billion times, and each takes about 20 bytes of memory
_MOST_ENTRIES = 50_000_000
# By their names, since older versions of pyarrow do not have all of them
_TEXTS = ("string", "large_string", "string_view", "null")


class Parquet:
    """Files with the suffix .parquet."""

    def read(self, file: BinaryIO, size_bytes: int, columns: Sequence[str]) -> Reading:
        try:
            opened = pyarrow.parquet.ParquetFile(file)
            kinds = tuple((str(field.name), field.type) for field in opened.schema_arrow)
            _check_columns(kinds, columns)
            wanted = [name for name, _ in kinds if name in columns]
            # Texts that repeat are not copied: a few bytes of a file can say that one is there a million times
            leaves = [opened.schema.column(index).path for index in range(len(opened.schema))]
            indices = [index for index, leaf in enumerate(leaves) if _is_of(leaf, wanted)]
            _check_entries(opened.metadata, indices)
            repeated = [leaves[index] for index in indices]
            opened = pyarrow.parquet.ParquetFile(file, metadata=opened.metadata, read_dictionary=repeated)
        except StorageReadError:
            raise
        # UnicodeDecodeError: a column's name is not UTF-8
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as problem:
            raise InputError(
                f"it is not a Parquet file: {problem}", hint="the suffix says the format; look at the file"
            ) from problem
        count: int = opened.metadata.num_rows
        rows = _Rows(opened, wanted)
        return Reading(
            columns=tuple(name for name, _ in kinds),
            rows=iter(rows),
            fraction=lambda: rows.read / max(count, 1),
        )

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


def _check_columns(kinds: Sequence[tuple[str, pyarrow.DataType]], columns: Sequence[str]) -> None:
    """Raise InputError for one of `columns` that is there twice, or does not hold texts or lists of texts."""
    names: set[str] = set()
    for name, kind in kinds:
        if name not in columns:
            continue
        if name in names:
            raise InputError(
                f"the Parquet file has the column {name!r:.80} more than once",
                hint="name another column with --column",
            )
        names.add(name)
        if not _is_text(kind.value_type if _is_list(kind) else kind):
            raise InputError(
                f"the column {name!r:.80} of the Parquet file has the type {kind!s:.80}; it must have texts or lists "
                "of texts",
                hint="name another column with --column",
            )


def _is_of(leaf: str, columns: Sequence[str]) -> bool:
    """Whether the path `leaf`, as of the entries of a list, belongs to one of `columns`, whose names may have dots."""
    return any(leaf == name or leaf.startswith(f"{name}.") for name in columns)


def _check_entries(metadata: pyarrow.parquet.FileMetaData, leaves: Sequence[int]) -> None:
    """Raise InputError if the lists of a row group, whose memory may be needed at once, have too many entries."""
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group)
        for leaf in leaves:
            column = rows.column(leaf)
            # A text of each row is read a batch at a time
            if column.num_values > max(rows.num_rows, _MOST_ENTRIES):
                raise InputError(
                    f"the lists of the column {column.path_in_schema!r:.80} have {column.num_values:,} entries in one "
                    f"row group of the Parquet file; at most {_MOST_ENTRIES:,} are read",
                    hint="write the file with fewer rows in a row group",
                )


def _is_list(kind: pyarrow.DataType) -> bool:
    """Whether a column of this type holds lists, such as the options of multiple choice."""
    return any(
        check(kind)
        for check in (
            pyarrow.types.is_list,
            pyarrow.types.is_large_list,
            # `datasets` writes it where every row has as many entries
            pyarrow.types.is_fixed_size_list,
        )
    )


def _is_text(kind: pyarrow.DataType) -> bool:
    """Whether a column of this type holds texts, or nothing."""
    if pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    return str(kind) in _TEXTS


class _Rows:
    """The rows of a Parquet file; `read` counts them."""

    def __init__(self, file: pyarrow.parquet.ParquetFile, columns: list[str]) -> None:
        self._file = file
        self._columns = columns
        self.read = 0

    def __iter__(self) -> Iterator[Row | UnreadableRow]:
        try:
            for group in range(self._file.num_row_groups):
                for batch in self._file.iter_batches(
                    batch_size=self._batch_rows(group), row_groups=[group], columns=self._columns
                ):
                    yield from self._rows(batch)
        except StorageReadError:
            raise
        except (pyarrow.ArrowException, OSError) as problem:
            raise InputError(
                f"the Parquet file cannot be read after row {self.read}: {problem}",
                hint="copy the file again",
            ) from problem

    def _batch_rows(self, group: int) -> int:
        """How many rows of a row group are read at once, by the bytes that they have on average."""
        metadata = self._file.metadata.row_group(group)
        size_bytes: int = metadata.total_byte_size
        rows: int = metadata.num_rows
        return max(1, min(BATCH_ROWS, _BATCH_BYTES * rows // max(size_bytes, 1)))

    def _rows(self, batch: pyarrow.RecordBatch) -> Iterator[Row | UnreadableRow]:
        columns = [_values(column) for column in batch.columns]
        for values in zip(*columns, strict=True):
            self.read += 1
            unreadable = next((value for value in values if isinstance(value, UnreadableRow)), None)
            yield unreadable or dict(zip(self._columns, values, strict=True))


def _values(column: pyarrow.Array) -> Iterator[object]:
    """The values of a column as Python has them, with an UnreadableRow for each one that is too long or not UTF-8."""
    if not pyarrow.types.is_dictionary(column.type):
        yield from map(_value, column)
        return
    texts: dict[int | None, object] = {None: None}
    for index in column.indices.to_pylist():
        if index not in texts:
            texts[index] = _value(column.dictionary[index])
        yield texts[index]


def _value(value: pyarrow.Scalar) -> object:
    if not value.is_valid:
        return None
    if isinstance(value, (pyarrow.ListScalar, pyarrow.LargeListScalar)):
        return _list(value.values)
    if value.as_buffer().size > MOST_LINE_BYTES:
        return UnreadableRow(reason=TOO_LONG)
    try:
        text: str = value.as_py()
    except UnicodeDecodeError as problem:
        return UnreadableRow(reason=f"the row is not UTF-8: {problem}")
    return text


def _list(entries: pyarrow.Array) -> list[object] | UnreadableRow:
    if len(entries) > MOST_LINE_BYTES:
        return UnreadableRow(reason=TOO_LONG)
    values: list[object] = []
    characters = 0
    for value in _values(entries):
        if isinstance(value, UnreadableRow):
            return value
        values.append(value)
        characters += len(value) if isinstance(value, str) else 1
        if characters > MOST_LINE_BYTES:
            return UnreadableRow(reason=TOO_LONG)
    return values


formats.register("parquet")(Parquet())
