"""Releases with two precisions: the limits of each, what is withheld, and dependence on the batch."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from model_src import heads
from model_src.attention import MASKED_SCORE
from tests.quantized_release import QUANTIZED, add_int8, change_weight
from tests.runtime_release import GRAPH, copied, read_manifest, record_again, write_manifest
from tests.validation_runs import GATES, evaluation, failed, validated
from validation.gates import LIMITS
from validation.judgement.judge import WIDENED
from validation.reports import html
from validation.reports.report import AGREEMENT, Report

HEAD = "sequence_classification"
ANY = replace(GATES, sibling_speedup=0.0, margin=0.99)


@pytest.mark.parametrize("head", heads.names())
def test_int8_of_every_head_has_its_own_limits(head: str, tmp_path: Path) -> None:
    report = validated(head, add_int8(copied(head, tmp_path / "release")), evaluation(head, tmp_path), ANY)
    fp32, int8 = report.variants
    assert fp32.passed, failed(fp32)
    assert failed(int8) <= {"labels that agree with eager's"}, failed(int8)
    checks = {verdict.check.partition(",")[0] for verdict in int8.verdicts}
    assert {"noise on generated inputs", "noise on long texts", "noise on evaluation texts"} <= checks
    assert "largest error on evaluation texts" not in checks
    assert ("labels that agree with eager's" in checks) == (
        head in ("sequence_classification", "token_classification")
    )
    assert ("lowest cosine with eager's embedding" in checks) == (head == "features")
    assert all(0.01 < agreement.noise < 0.2 for agreement in int8.agreements)
    assert all(agreement.noise < 1e-5 for agreement in fp32.agreements)
    assert int8.metrics[-1].name == AGREEMENT
    assert all(verdict.reason for verdict in int8.verdicts)
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize("head", heads.names())
def test_a_fault_of_long_texts_alone_is_found_in_every_head_where_all_texts_are_short(
    head: str, tmp_path: Path
) -> None:
    release = add_int8(copied(head, tmp_path / "release"))
    negate_long(release, more_than=36)
    # Windows of questions are longer than this; other texts have at most a dozen tokens
    (_, int8) = validated(head, release, evaluation(head, tmp_path), ANY).variants
    assert "noise on long texts" in failed(int8)


def negate_long(release: Path, more_than: int) -> None:
    """Every output of the INT8 graph changes its sign where a batch is longer than `more_than` tokens."""
    model = onnx.load(release / QUANTIZED)
    constants = {
        "last": np.int64(-1),
        "limit": np.int64(more_than),
        "minus": np.float32(-1),
        "one": np.float32(1),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), f"long/{name}") for name, value in constants.items()
    )
    renamed = {output.name: f"long/{output.name}" for output in model.graph.output}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    node = onnx.helper.make_node
    model.graph.node.extend(
        [
            node("Shape", ["input_ids"], ["long/shape"]),
            node("Gather", ["long/shape", "long/last"], ["long/tokens"]),
            node("Greater", ["long/tokens", "long/limit"], ["long/is"]),
            node("Where", ["long/is", "long/minus", "long/one"], ["long/sign"]),
            *(node("Mul", [inner, "long/sign"], [output]) for output, inner in renamed.items()),
        ]
    )
    onnx.save(model, release / QUANTIZED)
    record_again(release)


@pytest.mark.parametrize("head", heads.names())
def test_fp32_of_every_head_answers_the_same_padded_and_batched(head: str, tmp_path: Path) -> None:
    report = validated(head, copied(head, tmp_path / "release"), evaluation(head, tmp_path))
    (variant,) = report.variants
    assert [stability.way for stability in variant.stability] == ["padded", "batched"]
    for stability in variant.stability:
        assert (stability.texts, stability.changed) == (24, 0)
        # A tenth of the limit: products of other shapes add in another order
        assert stability.largest < 1e-5


def test_attention_to_padding_is_refused(tmp_path: Path) -> None:
    release = copied(HEAD, tmp_path / "release")
    model = onnx.load(release / GRAPH)
    constants = [*model.graph.initializer]
    constants += [node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"]
    masks = [tensor for tensor in constants if np.any(numpy_helper.to_array(tensor) == MASKED_SCORE)]
    assert masks
    for mask in masks:
        mask.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(mask)), mask.name))
    onnx.save(model, release / GRAPH)
    record_again(release)
    (variant,) = validated(HEAD, release, evaluation(HEAD, tmp_path)).variants
    assert {"largest change of a score when padded", "largest change of a score when batched"} <= failed(
        variant
    )
    assert any(stability.changed for stability in variant.stability)


def test_a_variant_that_depends_on_its_batch_by_nature_is_noted_and_not_refused(tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path)
    strict = replace(ANY, limits={**LIMITS, "int8": replace(LIMITS["int8"], shift=1e-3)})
    release = add_int8(copied(HEAD, tmp_path / "release"))
    fp32, int8 = validated(HEAD, release, data, strict).variants
    widened = fp32.notes[0]
    assert widened.startswith(WIDENED)
    assert int8.notes[0] == widened
    note = int8.notes[-1]
    assert "int8_dynamic scales activations by what is in the batch" in note
    assert all(f"{stability.largest:.2g} when {stability.way}" in note for stability in int8.stability)
    assert not any("when padded" in verdict.check for verdict in int8.verdicts)
    # Without the pass in its manifest, the same file is refused.
    manifest = read_manifest(release)
    write_manifest(
        release,
        replace(manifest, variants=(manifest.variants[0], replace(manifest.variants[1], passes=()))),
    )
    _, silent = validated(HEAD, release, data, strict).variants
    assert not any("int8_dynamic" in note for note in silent.notes)
    assert {"largest change of a score when padded", "largest change of a score when batched"} <= failed(
        silent
    )


def test_without_labels_int8_is_judged_by_its_labels_on_the_demos_texts(tmp_path: Path) -> None:
    release = add_int8(copied(HEAD, tmp_path / "release"))
    _, sound = validated(HEAD, release, None, ANY).variants
    assert sound.passed, failed(sound)
    change_weight(release, "classifier.bias", lambda bias: bias + np.float32([0.5, 0, 0]), QUANTIZED)
    _, biased = validated(HEAD, release, None, ANY).variants
    assert "labels that agree with eager's" in failed(biased)
    assert biased.decisions >= 256


def test_noise_is_measured_for_a_head_without_labels(tmp_path: Path) -> None:
    release = add_int8(copied("features", tmp_path / "release"))
    change_weight(
        release, "distilbert.transformer.layer.1.output_layer_norm.weight", lambda weight: -weight, QUANTIZED
    )
    _, int8 = validated("features", release, None, ANY).variants
    assert {"noise on generated inputs", "lowest cosine with eager's embedding"} <= failed(int8)


def test_a_vocabulary_is_compared_at_the_masks_and_at_every_eighth_token(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    lines = [{"text": f"{'cat ' * 17}[MASK] {word}", "targets": ["cat"]} for word in ("dog", "cat")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    release = copied("masked_lm", tmp_path / "release")
    report = validated("masked_lm", release, path, ANY)
    (texts,) = [
        agreement for agreement in report.variants[0].agreements if agreement.inputs == "evaluation texts"
    ]
    vocabulary = read_manifest(release).outputs[0].shape[-1]
    # [CLS], 17 cats, the mask, a dog and [SEP]: positions 0, 8, 16 and 18
    assert texts.values % (2 * 4) == 0
    assert vocabulary == "vocabulary" or texts.values == 2 * 4 * int(vocabulary)


def test_what_this_machine_cannot_check_is_withheld(tmp_path: Path) -> None:
    release = add_int8(copied(HEAD, tmp_path / "release"))
    manifest = read_manifest(release)
    fp32_variant, int8_variant = manifest.variants
    needing = replace(int8_variant, needs=("a-fourth-arm",))
    write_manifest(release, replace(manifest, variants=(fp32_variant, needing)))
    report = validated(HEAD, release, evaluation(HEAD, tmp_path), ANY)
    fp32, int8 = report.variants
    assert fp32.verdicts
    assert not fp32.withheld
    assert "cannot check it" in int8.withheld
    assert "a-fourth-arm" in int8.withheld
    assert report.passed
    assert Report.from_json(report.to_json()) == report
    html.write(report, read_manifest(release), tmp_path / "validation")
    assert "a-fourth-arm" in (tmp_path / "validation" / "report.html").read_text(encoding="utf-8")
