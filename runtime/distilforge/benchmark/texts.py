"""Rows of a file in place of shapes: the calls of an application, tokenizing and typed results included."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from distilforge.benchmark.timed_texts import MOST_ROWS, TextOptions, Texts
from distilforge.bulk.columns import HeadColumns, check_options, column_names, input_of
from distilforge.bulk.formats import format_of
from distilforge.bulk.heads import columns_of
from distilforge.bulk.rows import Row, UnreadableRow
from distilforge.bulk.source import check_columns, reading
from distilforge.errors import DistilforgeError, InputError
from distilforge.opening.open import open_release
from distilforge.session import Session
from distilforge.storage import Place
from distilforge.streaming import outcomes
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner, Subject
from distilforge.urls import check_slashes

Call = Callable[..., list[Any]]


def read(session: Session, options: TextOptions, job: Path) -> Texts:
    """Read the rows, answer each once with `session`, and write them to the file `job` for `text_subject`.

    Raises InputError for a file, column or option that cannot be used and for a row that cannot be answered, and what
    the engine raises.
    """
    check_slashes(options.file)
    source, columns = Place(options.file), columns_of(session.head)
    format_of(source.name)
    source.refuse_pipe()
    call_options = check_options(session, options.call_options)
    names = column_names(columns, options.columns)
    check_columns(source, columns, names, options.columns)
    with reading(source, columns, names) as opened:
        rows = list(islice(opened.rows, MOST_ROWS))
    if not rows:
        raise InputError(
            f"{source.url!r} has no rows", hint="pass a file with texts as your application has them"
        )
    with session.batched(max_delay=0.0) as batcher:

        def answer(inputs: list[object]) -> list[object]:
            return _call(batcher.session)(inputs, **call_options)

        for number, row in enumerate(rows):
            value = _input(columns, row, names, f"row {number} of {source.url!r}")
            # Each alone, so that no padding is counted
            for outcome in outcomes([value], answer, [number]):
                if isinstance(outcome, DistilforgeError):
                    raise type(outcome)(f"{source.url!r}: {outcome.message}", hint=outcome.hint) from outcome
        tokens = batcher.counts.tokens
    needed = [
        {name: value for name, value in row.items() if name in names.values()}
        for row in rows
        if not isinstance(row, UnreadableRow)
    ]
    document = {"rows": needed, "names": names, "options": options.call_options, "together": options.together}
    job.write_text(json.dumps(document), encoding="utf-8")
    return Texts(file=source.url, rows=len(rows), tokens=tokens, together=options.together)


def _input(columns: HeadColumns, row: Row | UnreadableRow, names: Mapping[str, str], where: str) -> object:
    """What the session is called with for a row; an InputError says `where` that is."""
    try:
        return input_of(columns, row, names)
    except InputError as error:
        hint = error.hint or "correct it, or pass a file without it"
        raise InputError(f"{where}: {error.message}", hint=hint) from error


class TextRunner(Runner):
    """Answers the same rows again and again."""

    def __init__(
        self, session: Session, calls: Sequence[list[object]], call_options: Mapping[str, object]
    ) -> None:
        """`calls` are the lists that the session is called with, one after the other in each run."""
        self._call, self._calls, self._options = _call(session), calls, call_options

    def feed(self, shape: Shape) -> None:
        """The rows are always the same ones."""

    def run(self) -> None:
        for inputs in self._calls:
            self._call(inputs, **self._options)


def text_subject(folder: Path, name: str, job: Path, *, threads: int | None) -> Subject:
    """The variant `name` of the release in `folder` as a subject that answers the rows in the file `job`."""
    return Subject(
        name=name,
        opener="distilforge.benchmark.texts:open_texts",
        arguments={"folder": str(folder), "variant": name, "threads": threads, "job": str(job)},
    )


def open_texts(folder: str, variant: str, threads: int | None, job: str) -> TextRunner:
    """The opener of `text_subject`, for its own process; raises what `distilforge.open` raises."""
    session = open_release(folder, variant=variant, threads=threads, allow_unvalidated=True)
    document = json.loads(Path(job).read_text(encoding="utf-8"))
    columns = columns_of(session.head)
    inputs = [input_of(columns, row, document["names"]) for row in document["rows"]]
    calls = [inputs] if document["together"] else [[value] for value in inputs]
    return TextRunner(session, calls, check_options(session, document["options"]))


def _call(session: Session) -> Call:
    """The session as a function of a list."""
    assert callable(session)
    return session
