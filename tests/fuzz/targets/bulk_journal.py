"""The folder that `distilforge run` keeps beside its output: its notes, and a part with answers."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow
from distilforge.bulk.journal import Finish, Journal
from distilforge.bulk.rows import Answers
from distilforge.errors import InputError
from distilforge.storage import Place

from tests.bulk_job import JOB
from tests.fuzz.mutations import damage, document
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.target import Input, Reader, Target, Use

_SCHEMA = pyarrow.schema([("row", pyarrow.int64()), ("label", pyarrow.string())])
_PART = "part-000000000000"


def _journal(output: Path) -> Journal:
    """The journal of a run that saved one part."""
    journal = Journal(Place(str(output)))
    journal.start(JOB)
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, _SCHEMA) as writer:
        writer.write_batch(pyarrow.RecordBatch.from_pydict({"row": [0, 1], "label": ["a", None]}, _SCHEMA))
    table: bytes = sink.getvalue().to_pybytes()
    journal.save([Answers(first=0, rows=2, errors=0, fraction=1.0, table=table)])
    return journal


def _samples(folder: Path) -> Sequence[Input]:
    output = folder / "run" / "answers.jsonl"
    journal = _journal(output)
    own = output.with_name("answers.jsonl.run")
    names = ("job.json", f"{_PART}.json", f"{_PART}.arrow")
    inputs = [Input(name=name, content=(own / name).read_bytes()) for name in names]
    journal.end(Finish(rows=2, errors=0, bytes=9, sha256="5" * 64, modified="2026-01-01"))
    return (*inputs, Input(name="finished.json", content=(own / "finished.json").read_bytes()))


def _mutate(sample: Input, choices: Choices) -> bytes:
    if sample.name.endswith(".json"):
        return document.changed_json(sample.content, choices)
    return damage.damaged(sample.content, choices)


def _prepare(folder: Path, work: Path) -> Reader:
    def uses(value: Input) -> Sequence[Use]:
        output = work / "answers.jsonl"
        own = output.with_name("answers.jsonl.run")
        shutil.rmtree(own, ignore_errors=True)
        journal = _journal(output)
        (own / value.name).write_bytes(value.content)
        if value.name == f"{_PART}.arrow":
            _record_again(own, value.content)

        def parts() -> None:
            for part in journal.parts():
                journal.batches(part, _SCHEMA)

        return (lambda: str(journal.job()), journal.finish, parts)

    return uses


def _record_again(folder: Path, content: bytes) -> None:
    """Let the receipt fit the part, as whoever changes a part would."""
    receipt = folder / f"{_PART}.json"
    changes = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    receipt.write_text(json.dumps(json.loads(receipt.read_text()) | changes))


TARGET = Target(errors=(InputError,), samples=_samples, mutate=_mutate, prepare=_prepare)
