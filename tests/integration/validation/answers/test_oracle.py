"""Variants for devices that this machine does not have are judged by the graph from which they were compiled."""

from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.manifest import CompiledEngine, Span, Variant

from model_src import heads
from tests.quantized_release import change_weight
from tests.runtime_release import GRAPH, copied, read_manifest, record_again, write_manifest
from tests.validation_runs import GATES, evaluation, failed, validated
from validation.judgement.judge import WIDENED
from validation.reports.report import VariantReport

HEAD = "sequence_classification"
ENGINE, ORACLE = "tensorrt/rtx-fp32.engine", "tensorrt/rtx-fp32.onnx"
NAME = "tensorrt-rtx:fp32"
# Every loss is within this margin, so the first look decides
WIDE = replace(GATES, looks=3, margin=0.99)
ALL = 40
COMPILED = CompiledEngine(
    flavour="TensorRT-RTX",
    version="1.7.1.116",
    capabilities=("8.0+",),
    profiles=({"batch": Span(low=1, usual=8, high=32)},),
    precisions={"float32": 3},
    bytes=7,
    activation_bytes=None,
    build_seconds=1.0,
)


def with_engine(release: Path, *, oracle: str = ORACLE) -> Path:
    """`release` with a variant whose engine no machine can run, and whose graph is the release's own."""
    (release / "tensorrt").mkdir()
    (release / ENGINE).write_bytes(b"engine!")
    (release / ORACLE).write_bytes((release / GRAPH).read_bytes())
    manifest = read_manifest(release)
    variant = Variant(
        target="tensorrt-rtx", precision="fp32", files=(ENGINE, ORACLE), oracle=oracle, compiled=COMPILED
    )
    write_manifest(release, replace(manifest, variants=(*manifest.variants, variant)))
    record_again(release)
    return release


def checks(variant: VariantReport) -> list[str]:
    return [verdict.check.partition(",")[0] for verdict in variant.verdicts]


@pytest.mark.parametrize("head", heads.names())
def test_its_graph_answers_for_an_engine_that_cannot_run_here(head: str, tmp_path: Path) -> None:
    release = with_engine(copied(head, tmp_path / "release"))
    report = validated(head, release, evaluation(head, tmp_path), WIDE)
    fp32, engine = report.variants
    assert (engine.name, failed(engine), engine.withheld) == (NAME, set(), "")
    # Random labels fit no model, so no look before the last can settle anything
    assert engine.metrics[0].examples == fp32.metrics[0].examples == ALL
    # The same graph: its answers differ from eager PyTorch's as little
    assert checks(engine) == [check for check in checks(fp32) if not check.startswith("speed")]
    assert (engine.measurements, engine.speedups) == ((), ())
    assert [metric.name for metric in engine.metrics] == [metric.name for metric in fp32.metrics]
    note, widened, *_ = engine.notes
    assert widened.startswith(WIDENED)
    assert note.startswith("Not run on a device, since ")
    assert ORACLE in note
    assert "TensorRT-RTX" in note


def test_a_fault_in_the_graph_fails_the_engine(tmp_path: Path) -> None:
    release = with_engine(copied(HEAD, tmp_path / "release"))
    change_weight(release, "distilbert.embeddings.LayerNorm.weight", lambda numbers: numbers * 2, ORACLE)
    fp32, engine = validated(HEAD, release, evaluation(HEAD, tmp_path), WIDE).variants
    assert fp32.passed
    assert "largest error on generated inputs" in failed(engine)


def test_without_labels_the_demos_texts_are_compared(tmp_path: Path) -> None:
    release = with_engine(copied(HEAD, tmp_path / "release"))
    report = validated(HEAD, release, None, WIDE)
    assert failed(report.variants[1]) == set()
    assert report.variants[1].notes


def test_an_engine_without_a_graph_is_withheld_with_the_reason(tmp_path: Path) -> None:
    release = with_engine(copied(HEAD, tmp_path / "release"), oracle="")
    engine = validated(HEAD, release, evaluation(HEAD, tmp_path)).variants[1]
    assert engine.withheld.startswith("this machine cannot check it: ")
    assert engine.verdicts == ()


def test_nothing_is_timed_where_nothing_can_run(tmp_path: Path) -> None:
    release = with_engine(copied(HEAD, tmp_path / "release"))
    manifest = read_manifest(release)
    write_manifest(release, replace(manifest, variants=manifest.variants[1:]))
    record_again(release)
    report = validated(HEAD, release, evaluation(HEAD, tmp_path), WIDE)
    assert [(variant.name, variant.passed, variant.speedups) for variant in report.variants] == [
        (NAME, True, ())
    ]
