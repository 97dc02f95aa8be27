"""The input of a run."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from distilforge.bulk.columns import HeadColumns
from distilforge.bulk.formats import Reading, format_of
from distilforge.bulk.rows import Row, UnreadableRow
from distilforge.errors import InputError
from distilforge.storage import Place


@contextmanager
def reading(source: Place, columns: HeadColumns, names: Mapping[str, str]) -> Iterator[Reading]:
    """The input, opened; InputError if it does not have a column that is needed."""
    with source.reader() as file:
        read = format_of(source.name).read(file, source.size_bytes() or 0, tuple(names.values()))
        for name in columns.inputs:
            if read.columns is not None and names[name] not in read.columns:
                raise InputError(
                    f"{source.url!r} has no column {names[name]!r:.80}; it has "
                    f"{', '.join(map(repr, read.columns))!s:.400}",
                    hint=f"name it with --column {name}=COLUMN",
                )
        if not read.tells_empty_from_null:
            optional = {names[name] for name in columns.optional}
            read = replace(read, rows=_with_nulls(read.rows, optional))
        yield read


def _with_nulls(
    rows: Iterator[Row | UnreadableRow], columns: Collection[str]
) -> Iterator[Row | UnreadableRow]:
    """`rows` with null for what is empty in `columns`, which a row may lack."""
    for row in rows:
        if isinstance(row, UnreadableRow):
            yield row
        else:
            yield {name: None if name in columns and value == "" else value for name, value in row.items()}
