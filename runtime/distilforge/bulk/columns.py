"""Which columns a head reads and writes: one file per head in distilforge.bulk.heads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import pyarrow

from distilforge.bulk.rows import Row, UnreadableRow
from distilforge.checks.call_options import check_call_options
from distilforge.errors import InputError
from distilforge.registry import nearest
from distilforge.session import Session

ROW = "row"
"""The output's first column: the row's index in the input, from 0."""
ERROR = "error"
"""The output's last column: why the row has no answer; null for a row that has one."""

Options = Mapping[str, object]
"""Options of the session's call, by name."""


class HeadColumns(ABC):
    """The columns of a head."""

    inputs: ClassVar[tuple[str, ...]]
    """The columns that every row needs."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Columns that are read if they are there; null counts as absent, and so does an empty cell of CSV."""

    @abstractmethod
    def input(self, row: Row) -> object:
        """What the session is called with; `row` has the columns `inputs`, and perhaps `optional`."""

    @abstractmethod
    def fields(self, options: Options) -> tuple[pyarrow.Field, ...]:
        """The columns of an answer, under the options of the call."""

    @abstractmethod
    def record(self, answer: object, options: Options) -> dict[str, object]:
        """The values of an answer by the names of `fields`."""


def text_or_pair(row: Row) -> object:
    """The input of heads that take a text, or a pair of texts if the row has a `text_pair` that is not null."""
    pair = row.get("text_pair")
    # As for a session, an empty second text is still a second text
    return row["text"] if pair is None else (row["text"], pair)


def column_names(columns: HeadColumns, given: Mapping[str, str]) -> dict[str, str]:
    """The column of a file for each of the head's columns; InputError if one is `given` that the head does not read."""
    known = (*columns.inputs, *columns.optional)
    for name in given:
        if name not in known:
            raise InputError(f"the head does not read a column {name!r:.80}", hint=nearest(name, known))
    return {name: given.get(name, name) for name in known}


def input_of(columns: HeadColumns, row: Row | UnreadableRow, names: Mapping[str, str]) -> object:
    """What the session is called with for `row`, of a file with the columns `names`.

    Raises InputError for a row that cannot be read, or that lacks a column.
    """
    if isinstance(row, UnreadableRow):
        raise InputError(row.reason)
    values: dict[str, object] = {}
    for name in (*columns.inputs, *columns.optional):
        column = names[name]
        if column in row:
            values[name] = row[column]
        elif name in columns.inputs:
            raise InputError(
                f"the row has no column {column!r:.80}; it has {', '.join(map(repr, row))!s:.200}"
            )
    return columns.input(values)


def schema(columns: HeadColumns, options: Options) -> pyarrow.Schema:
    """The columns of the output."""
    return pyarrow.schema(
        [
            pyarrow.field(ROW, pyarrow.int64(), nullable=False),
            *columns.fields(options),
            pyarrow.field(ERROR, pyarrow.string()),
        ]
    )


def check_options(session: Session, options: Options) -> dict[str, object]:
    """The `options` as the session's call takes them; InputError for one that it does not have or take."""
    assert callable(session)
    return check_call_options(session, session.head, options)
