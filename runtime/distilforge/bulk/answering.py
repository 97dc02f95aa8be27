"""The one code path for a batch: its rows go in, and the output's rows come out."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow

from distilforge.bulk.columns import ERROR, ROW, input_of, schema
from distilforge.bulk.heads import columns_of
from distilforge.bulk.rows import Answers, Batch
from distilforge.errors import DistilforgeError, InputError
from distilforge.printable import one_line
from distilforge.session import Session
from distilforge.streaming import outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswererSettings:
    """All that another process needs in order to answer batches."""

    session: bytes
    """The pickled session, which opens the same variant again."""
    head: str
    """The name of its head."""
    options: Mapping[str, object]
    """The options of its call."""
    names: Mapping[str, str]
    """The column of the input by the head's own name for it."""

    def open(self) -> "Answerer":
        """Open the session; raises what `distilforge.open` raises."""
        session: Session = pickle.loads(self.session)  # noqa: S301 - it comes from the process that started this one
        return Answerer(session, self)

    def failed(self, batch: Batch, reason: str) -> Answers:
        """The answers to `batch` if all of its rows have to become error rows, for the same `reason`."""
        records = [_error(row, reason) for row in range(batch.first, batch.first + len(batch.rows))]
        return _answers(batch, records, schema(columns_of(self.head), self.options))


class Answerer:
    """An open session that answers batches."""

    def __init__(self, session: Session, settings: AnswererSettings) -> None:
        self._session = session
        self._settings = settings
        self._columns = columns_of(settings.head)
        self._schema = schema(self._columns, settings.options)

    def __call__(self, batch: Batch) -> Answers:
        """Answer the rows of `batch`; a row that cannot be answered becomes an error row."""
        inputs: dict[int, object] = {}
        records: dict[int, dict[str, object]] = {}
        for index, row in enumerate(batch.rows, start=batch.first):
            try:
                inputs[index] = input_of(self._columns, row, self._settings.names)
            except InputError as error:
                records[index] = _error(index, _reason(error))
        positions = list(inputs)
        for index, outcome in zip(
            positions, outcomes(list(inputs.values()), self._answer, positions), strict=True
        ):
            records[index] = (
                _error(index, _reason(outcome))
                if isinstance(outcome, DistilforgeError)
                else {ROW: index, **self._columns.record(outcome, self._settings.options)}
            )
        return _answers(batch, [records[index] for index in sorted(records)], self._schema)

    def _answer(self, inputs: list[object]) -> list[object]:
        assert callable(self._session)
        answers: list[object] = self._session(inputs, **self._settings.options)
        return answers


def _reason(error: DistilforgeError) -> str:
    """What is wrong, and what to do."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _error(row: int, message: str) -> dict[str, object]:
    return {ROW: row, ERROR: one_line(message)}


def _answers(batch: Batch, records: list[dict[str, object]], kind: pyarrow.Schema) -> Answers:
    table = pyarrow.RecordBatch.from_pylist(records, schema=kind)
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, kind) as writer:
        writer.write_batch(table)
    content: bytes = sink.getvalue().to_pybytes()
    return Answers(
        first=batch.first,
        rows=len(records),
        errors=sum(ERROR in record for record in records),
        fraction=batch.fraction,
        table=content,
    )
