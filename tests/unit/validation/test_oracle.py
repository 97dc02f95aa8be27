"""Variants for devices that are not here: judged by the graph that they were made of, on a part of the examples."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.manifest import CompiledEngine, Span, Variant

from model_src import heads
from tests.quantized_release import change_weight
from tests.runtime_release import GRAPH, copied, read_manifest, record_again, write_manifest
from tests.validation_runs import GATES, evaluation, failed, validated
from validation import validate
from validation.accuracy import Comparison
from validation.gate import WIDENED
from validation.judge import settled
from validation.metrics import mean
from validation.report import EAGER, VariantReport

HEAD = "sequence_classification"
ENGINE, ORACLE = "tensorrt/rtx-fp32.engine", "tensorrt/rtx-fp32.onnx"
NAME = "tensorrt-rtx:fp32"
# Any loss is within this margin, so that the part settles it
FEW = replace(GATES, oracle_examples=15, margin=0.99)
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
    report = validated(head, release, evaluation(head, tmp_path), FEW)
    fp32, engine = report.variants
    assert (engine.name, failed(engine), engine.withheld) == (NAME, set(), "")
    assert {metric.examples for metric in engine.metrics[:1]} == {15}
    assert {metric.examples for metric in fp32.metrics[:1]} == {40}
    # The same graph: what it answers differs from eager's as little
    assert checks(engine) == [check for check in checks(fp32) if not check.startswith("speed")]
    assert (engine.measurements, engine.speedups) == ((), ())
    assert [each.name for each in engine.metrics] == [each.name for each in fp32.metrics]
    note, widened = engine.notes
    assert widened.startswith(WIDENED)
    assert note.startswith("Not run on a device, since ")
    assert ORACLE in note
    assert "TensorRT-RTX" in note


@pytest.mark.parametrize("head", heads.names())
def test_a_part_is_scored_as_if_it_were_all_there_is(head: str, tmp_path: Path) -> None:
    release = with_engine(copied(head, tmp_path / "release"))
    data = evaluation(head, tmp_path)
    change_weight(release, "distilbert.embeddings.LayerNorm.weight", lambda numbers: numbers * 1.5, ORACLE)
    engine = validated(head, release, data, FEW).variants[1]
    lines = data.read_text(encoding="utf-8").splitlines()
    places = np.linspace(0, len(lines) - 1, 15).round().astype(int)
    data.write_text("".join(f"{lines[place]}\n" for place in places), encoding="utf-8")
    alone = validated(head, release, data, replace(GATES, margin=0.99)).variants[1]
    for found, expected in zip(engine.metrics, alone.metrics, strict=True):
        assert (found.name, found.examples) == (expected.name, expected.examples)
        assert found.eager == pytest.approx(expected.eager, abs=1e-6)
        assert found.variant == pytest.approx(expected.variant, abs=1e-6)
    assert checks(engine) == checks(alone)


@pytest.mark.parametrize("head", heads.names())
def test_where_a_part_does_not_settle_it_all_examples_are_answered(
    head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = with_engine(copied(head, tmp_path / "release"))
    change_weight(release, "distilbert.embeddings.LayerNorm.weight", lambda numbers: numbers * 1.5, ORACLE)
    data = evaluation(head, tmp_path)
    whole = validated(head, release, data, replace(FEW, oracle_examples=40)).variants[1]
    monkeypatch.setattr(validate, "settled", lambda compared, gates: False)
    both = validated(head, release, data, FEW).variants[1]
    assert both.metrics[0].examples == 40
    for found, expected in zip(both.metrics, whole.metrics, strict=True):
        assert found.variant == pytest.approx(expected.variant, abs=1e-6)
    assert "on 40 of the evaluation's examples" in both.notes[0]


def scored(wrong: int, of: int = 300) -> Comparison:
    """A variant that is wrong where eager is right, `wrong` times."""
    lost = np.ones(of)
    lost[:wrong] = 0
    scores = [mean("accuracy", values) for values in (np.ones(of), lost)]
    return Comparison(eager=(scores[0],), variant=(scores[1],), agreed=of - wrong, decisions=of)


def test_a_part_settles_what_it_shows_at_the_gates_confidence() -> None:
    assert settled(scored(0), GATES)
    assert settled(scored(1, of=3000), GATES)
    assert not settled(scored(9), GATES)
    assert settled(scored(9), replace(GATES, margin=0.1))
    assert settled(replace(scored(9), eager=(), variant=()), GATES)


def test_a_fault_in_the_graph_is_found(tmp_path: Path) -> None:
    release = with_engine(copied(HEAD, tmp_path / "release"))
    change_weight(release, "distilbert.embeddings.LayerNorm.weight", lambda numbers: numbers * 2, ORACLE)
    fp32, engine = validated(HEAD, release, evaluation(HEAD, tmp_path), FEW).variants
    assert fp32.passed
    assert "largest error on generated inputs" in failed(engine)


def test_without_labels_the_demos_texts_are_compared(tmp_path: Path) -> None:
    release = with_engine(copied(HEAD, tmp_path / "release"))
    report = validated(HEAD, release, None, FEW)
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
    report = validated(HEAD, release, evaluation(HEAD, tmp_path), FEW)
    assert [(each.name, each.passed, each.speedups) for each in report.variants] == [(NAME, True, ())]


def test_the_fp32_variant_is_still_timed_beside_eager(tmp_path: Path) -> None:
    release = with_engine(copied(HEAD, tmp_path / "release"))
    fp32 = validated(HEAD, release, evaluation(HEAD, tmp_path), FEW).variants[0]
    assert {each.subject for each in fp32.measurements} == {EAGER, fp32.name}
    assert json.loads(read_manifest(release).to_json())["variants"][1]["oracle"] == ORACLE
