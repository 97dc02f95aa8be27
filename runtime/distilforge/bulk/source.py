"""The input of a run."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from distilforge.bulk.columns import HeadColumns
from distilforge.bulk.formats import Reading, format_of
from distilforge.bulk.rows import Row, UnreadableRow, batches
from distilforge.errors import InputError
from distilforge.storage import Place


@contextmanager
def reading(source: Place, columns: HeadColumns, names: Mapping[str, str]) -> Iterator[Reading]:
    """The input, opened; InputError if its header does not have a column that is needed."""
    with source.reader() as file:
        kind = format_of(source.name)
        with _naming(source):
            read = kind.read(file, source.size_bytes() or 0, tuple(names.values()))
        if read.columns is not None:
            _check_found(source, read.columns, columns.inputs, names)
        rows = _named(source, read.rows)
        if not read.tells_empty_from_null:
            rows = _with_nulls(rows, {names[name] for name in columns.optional})
        yield replace(read, rows=rows)


def check_columns(
    source: Place, columns: HeadColumns, names: Mapping[str, str], given: Iterable[str]
) -> None:
    """Raise InputError if the input does not have a column that is needed, or one that is `given` by the user.

    Where every row has columns of its own, one of the rows of the first batch must have it.
    """
    needed = (*columns.inputs, *given)
    with reading(source, columns, names) as read:
        if read.columns is not None:
            _check_found(source, read.columns, needed, names)
            return
        first = next(batches(read.rows, read.fraction, 0), None)
    rows = first.rows if first is not None else ()
    readable = [row for row in rows if not isinstance(row, UnreadableRow)]
    # Of a row that cannot be read, the answer says why
    if readable:
        found = dict.fromkeys(name for row in readable for name in row)
        _check_found(source, found, needed, names, where=f" in its first {len(rows)} rows")


def _check_found(
    source: Place, found: Collection[str], needed: Iterable[str], names: Mapping[str, str], where: str = ""
) -> None:
    for name in needed:
        if names[name] not in found:
            raise InputError(
                f"{source.url!r} has no column {names[name]!r:.80}{where}; it has "
                f"{', '.join(map(repr, found)) or 'none'!s:.400}",
                hint=f"name it with --column {name}=COLUMN",
            )


@contextmanager
def _naming(source: Place) -> Iterator[None]:
    """Let errors of a format, which knows no names of files, begin with that of the input."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source.url!r}: {error.message}", hint=error.hint) from error


def _named(source: Place, rows: Iterator[Row | UnreadableRow]) -> Iterator[Row | UnreadableRow]:
    with _naming(source):
        yield from rows


def _with_nulls(
    rows: Iterator[Row | UnreadableRow], columns: Collection[str]
) -> Iterator[Row | UnreadableRow]:
    """`rows` with null for what is empty in `columns`, which a row may lack."""
    for row in rows:
        if isinstance(row, UnreadableRow):
            yield row
        else:
            yield {name: None if name in columns and value == "" else value for name, value in row.items()}
