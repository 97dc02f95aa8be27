"""The statement of a signed release names what it is about, and has the evidence of the manifest."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.manifest import Measurement, Metric, Steadiness, Verdict, Withheld
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message

from pipeline.release import statement
from pipeline.store import digests
from tests.runtime_release import read_manifest, write_manifest
from tests.signed_release import CREATED, write_small_release


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = write_small_release(tmp_path / "small")
    manifest = read_manifest(folder)
    first, second = manifest.variants
    judged = replace(
        first,
        metrics=(Metric(name="accuracy", eager=0.9, variant=0.91, examples=1500),),
        verdicts=(
            Verdict(
                check="error", observed=0.1, comparison="at most", limit=0.2, unit="", reason="as measured"
            ),
        ),
        measurements=(Measurement(subject="eager", batch=1, tokens=16, seconds=(0.3, 0.1, 0.2)),),
    )
    write_manifest(
        folder,
        replace(
            manifest,
            variants=(judged, second),
            withheld=(Withheld(name="onnxruntime-cpu:fp16", reason="it is slower"),),
            timing=Steadiness(steady=True, reasons=(), rounds=3),
        ),
    )
    return folder


def render(release: Path, order: int | None = None) -> dict[str, object]:
    value = json.loads(statement.render(read_manifest(release), release, order))
    assert isinstance(value, dict)
    return value


def test_it_is_an_in_toto_statement(release: Path) -> None:
    Statement.copy_from_pb(json_format.ParseDict(render(release), Message())).validate()


def test_it_is_about_every_file_and_the_manifest(release: Path) -> None:
    subjects = {entry["name"]: entry["digest"]["sha256"] for entry in render(release)["subject"]}  # type: ignore[attr-defined]
    files = {name: record.sha256 for name, record in digests.record(release).items()}
    assert subjects == files


def test_it_has_the_evidence(release: Path) -> None:
    predicate = render(release, 7)["predicate"]
    assert isinstance(predicate, dict)
    assert (predicate["name"], predicate["order"], predicate["created"]) == ("small", 7, CREATED)
    assert {entry["name"]: entry["digest"]["sha256"][0] for entry in predicate["materials"]} == {
        "checkpoint": "0",
        "recipe": "1",
        "evaluation data": "3",
    }
    variant = predicate["variants"][0]
    assert variant["accuracy"] == [{"name": "accuracy", "eager": 0.9, "variant": 0.91, "examples": 1500}]
    assert variant["checks"][0]["outcome"] == "met"
    assert variant["latency"] == [
        {"subject": "eager", "batch": 1, "tokens": 16, "median_seconds": 0.2, "samples": 3}
    ]
    assert predicate["withheld"] == [{"name": "onnxruntime-cpu:fp16", "reason": "it is slower"}]
    assert predicate["timing"]["steady"] is True
    assert predicate["builder"]["tools"] == {"python": "3.11"}


def test_an_unsteady_timing_claims_no_speed(release: Path) -> None:
    unsteady = Steadiness(steady=False, reasons=("other processes took 1.0 cores",), rounds=3)
    write_manifest(release, replace(read_manifest(release), timing=unsteady))
    predicate = render(release)["predicate"]
    assert isinstance(predicate, dict)
    assert predicate["timing"] == {"steady": False, "reasons": ["other processes took 1.0 cores"]}
    assert [entry["median_seconds"] for entry in predicate["variants"][0]["latency"]] == [None]
