"""The messages between a build and its worker are read as they were written."""

from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.engines.job import Job, Outcome
from pipeline.engines.options import EngineOptions

CHANGED = EngineOptions(
    capabilities=("8.6", "12.0"),
    buckets=(64,),
    batches=(1, 8),
    tf32=True,
    optimization_level=2,
    workspace_mb=512,
    hardware_compatibility="ampere_plus",
    version_compatible=True,
    weights_stripped=True,
    detailed=False,
    timing_cache=Path("timings.cache"),
)


@pytest.mark.parametrize("options", [EngineOptions(), CHANGED])
def test_a_job_keeps_every_option(options: EngineOptions, tmp_path: Path) -> None:
    job = Job(
        compiler="TensorRT-RTX",
        module="tensorrt_rtx",
        is_rtx=True,
        graph="model.onnx",
        output="model.engine",
        profiles=({"batch": (1, 8, 32), "sequence": (1, 64, 128)},),
        options=options,
    )
    job.write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == job


def test_every_option_is_changed_above() -> None:
    assert set(CHANGED.changed) == {entry.name for entry in fields(EngineOptions)}


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(failure="no kernel", node="layer.0/MatMul", operator="MatMul", errors=("one", "two")),
        Outcome(failure="disk full", errno=28),
        Outcome(
            precisions={"half": 3}, warnings=("slow",), activation_bytes=7, build_seconds=1.5, version="1"
        ),
    ],
)
def test_an_outcome_keeps_every_field(outcome: Outcome, tmp_path: Path) -> None:
    outcome.write(tmp_path / "outcome.json")
    assert Outcome.read(tmp_path / "outcome.json") == outcome
