"""The input of a run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from distilforge.bulk.columns import HeadColumns
from distilforge.bulk.formats import Reading, format_of
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
        yield read
