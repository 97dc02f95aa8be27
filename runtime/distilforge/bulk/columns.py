"""Which columns a head reads and writes: one file per head in distilforge.bulk.heads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import pyarrow

from distilforge.bulk.rows import Row
from distilforge.checks.call_options import check_call_options
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
