"""The input of `distilforge run`: JSON Lines, CSV and Parquet, read and answered as in a worker."""

import io
import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import distilforge
import pyarrow
import pyarrow.parquet
from distilforge.bulk.answering import AnswererSettings
from distilforge.bulk.formats import format_of
from distilforge.bulk.rows import batches
from distilforge.errors import InputError

from tests.fuzz import samples
from tests.fuzz.mutations import damage, document
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.target import Input, Reader, Target, Use

_ROWS = [
    {"text": "the film", "text_pair": "was good", "other": "1"},
    {"text": "a doctor", "text_pair": "", "other": "2"},
]
_PARQUET = "rows.parquet"
_MOST_BATCHES = 4


def _samples(folder: Path) -> Sequence[Input]:
    table = pyarrow.Table.from_pylist(_ROWS)
    inputs = [Input(name="rows.jsonl", content="".join(f"{json.dumps(row)}\n" for row in _ROWS).encode())]
    for name in ("rows.csv", _PARQUET):
        file = io.BytesIO()
        with format_of(name).writer(file, table.schema) as write:
            write(table.to_batches()[0])
            content = file.getvalue
        inputs.append(Input(name=name, content=content()))
    return inputs


def _mutate(sample: Input, choices: Choices) -> bytes:
    if sample.name.endswith(".jsonl"):
        lines: list[object] = [document.read_json(line) for line in sample.content.decode().splitlines()]
        return damage.encoded(document.changed(lines, document.render_lines, choices), choices)
    return damage.damaged(sample.content * choices.of([1, 1, 1000]), choices)


def _prepare(folder: Path, work: Path) -> Reader:
    session = distilforge.open(folder / samples.RELEASE, variant="onnxruntime-cpu:fp32", threads=1)
    names = {"text": "text", "text_pair": "text_pair"}
    answer = AnswererSettings(
        session=pickle.dumps(session), head=session.head, options={"truncation": "truncate"}, names=names
    ).open()

    def uses(value: Input) -> Sequence[Use]:
        def run() -> None:
            file = io.BytesIO(value.content)
            read = format_of(value.name).read(file, len(value.content), tuple(names.values()))
            rows = iter(batches(read.rows, read.fraction, 0))
            for _, batch in zip(range(_MOST_BATCHES), rows, strict=False):
                assert answer(batch).rows == len(batch.rows)

        return (run,)

    return uses


TARGET = Target(errors=(InputError,), samples=_samples, mutate=_mutate, prepare=_prepare)
