"""The index of a store, which whoever runs the store can write."""

from collections.abc import Sequence
from pathlib import Path

from distilforge import DistilforgeError
from distilforge.manifest import FileRecord
from distilforge.remote.index import Channel, Index, StoredRelease, parse_index

from tests.fuzz.mutations import document
from tests.fuzz.target import Input, Reader, Target, Use

_RECORD = FileRecord(sha256="0" * 64, bytes=1_000)


def _release(number: int) -> StoredRelease:
    version = f"{number:012x}"
    return StoredRelease(
        name="small",
        version=version,
        location=f"{version}-20260101T000000Z-01234567",
        created="2026-01-01T00:00:00+00:00",
        pushed="2026-01-02T00:00:00+00:00",
        bytes=123_456_789,
        validated=True,
        manifest=_RECORD,
        signature={"model.sig": _RECORD, "statement.intoto.json": _RECORD},
    )


def _samples(folder: Path) -> Sequence[Input]:
    first, second = _release(1), _release(2)
    index = Index(
        name="small",
        revisions=("0123456789abcdef",),
        releases=(first, second),
        channels={"latest": Channel(version=second.version, history=(first.version,))},
    )
    return (Input(name="index.json", content=index.to_json().encode()),)


def _prepare(folder: Path, work: Path) -> Reader:
    def uses(value: Input) -> Sequence[Use]:
        return (
            lambda: parse_index(value.content, "the index").find("the store", channel=None, version=None),
        )

    return uses


TARGET = Target(
    errors=(DistilforgeError,),
    samples=_samples,
    mutate=lambda sample, choices: document.changed_json(sample.content, choices),
    prepare=_prepare,
)
