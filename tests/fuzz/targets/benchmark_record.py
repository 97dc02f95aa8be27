"""A benchmark record in the user's cache, which another program of the user may have written."""

from collections.abc import Sequence
from pathlib import Path

from distilforge import DistilforgeError
from distilforge.records.benchmark_records import BenchmarkRecord
from distilforge.records.conditions import present_conditions
from distilforge.release import read_manifest

from tests.fuzz import samples
from tests.fuzz.mutations import document
from tests.fuzz.target import Input, Reader, Target, Use


def _samples(folder: Path) -> Sequence[Input]:
    manifest = read_manifest(folder / samples.RELEASE)
    record = BenchmarkRecord(
        release="0" * 64,
        name=manifest.name,
        version=manifest.version,
        conditions=present_conditions(manifest, 1),
        measured_at="2026-01-01T00:00:00+00:00",
        shapes=("1x16",),
        speeds={"onnxruntime-cpu:fp32": 1.0},
    )
    return (Input(name="record.json", content=record.to_json().encode()),)


def _prepare(folder: Path, work: Path) -> Reader:
    path = work / "record.json"

    def uses(value: Input) -> Sequence[Use]:
        path.write_bytes(value.content)
        return (lambda: BenchmarkRecord.from_file(path),)

    return uses


TARGET = Target(
    # Not UTF-8
    errors=(DistilforgeError, UnicodeDecodeError),
    samples=_samples,
    mutate=lambda sample, choices: document.changed_json(sample.content, choices),
    prepare=_prepare,
)
