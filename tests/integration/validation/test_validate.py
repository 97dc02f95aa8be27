"""Validation as a whole, on real tiny releases: sound ones pass, and planted faults are refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model_src import heads
from tests.conftest import DEMO_HEADS
from tests.quantized_release import change_weight
from tests.runtime_release import (
    GRAPH,
    LABELS,
    TEXTS,
    published,
    read_manifest,
    write_manifest,
)
from tests.runtime_release import copied as copied_release
from tests.validation_runs import GATES, evaluation, failed, validated
from validation.answers.eager import Eager
from validation.errors import ArtifactError, DataError, UnusableReferenceError
from validation.gates import Limits
from validation.reports.report import AGREEMENT, Report
from validation.validate import validate

INPUTS = {"generated inputs", "long texts"}


@pytest.mark.parametrize("head", heads.names())
def test_a_sound_release_of_every_head_passes(head: str, tmp_path: Path) -> None:
    report = validated(head, published(head, LABELS.get(head, ())).release, evaluation(head, tmp_path))
    assert report.passed, [verdict for verdict in report.variants[0].verdicts if not verdict]
    (variant,) = report.variants
    assert {agreement.inputs for agreement in variant.agreements} == INPUTS | {"evaluation texts"}
    assert all(0 < agreement.largest < 1e-4 for agreement in variant.agreements)
    assert variant.metrics
    assert variant.label_agreement == 1.0
    assert report.examples == 40
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize("head", sorted({*DEMO_HEADS} - {"question_answering"}))
def test_without_data_the_demos_texts_are_compared(head: str) -> None:
    report = validated(head, published(head, LABELS.get(head, ())).release, None)
    (variant,) = report.variants
    assert {metric.name for metric in variant.metrics} <= {AGREEMENT}
    assert {agreement.inputs for agreement in variant.agreements} == INPUTS | {"the demo's texts"}
    assert "accuracy was not judged" in report.notes[0]
    assert report.passed


def test_demo_texts_that_are_far_too_long_for_a_model_are_left_out_and_the_report_says_so() -> None:
    # At 64 positions and a vocabulary of letters, every paragraph falls into dozens of windows.
    report = validated("question_answering", published("question_answering").release, None)
    assert report.examples < 256
    assert any("fit" in note for note in report.notes)
    assert report.passed


def test_a_perturbed_classifier_is_refused_with_the_size_of_its_error(tmp_path: Path) -> None:
    release = copied_release("sequence_classification", tmp_path / "release")
    change_weight(release, "classifier.bias", lambda bias: bias + np.float32([0, 0.5, 0]))
    (variant,) = validated(
        "sequence_classification", release, evaluation("sequence_classification", tmp_path)
    ).variants
    assert {"largest error on generated inputs", "largest error on evaluation texts"} <= failed(variant)
    for agreement in variant.agreements:
        assert agreement.largest == pytest.approx(0.5, abs=1e-3)
        assert agreement.mean == pytest.approx(0.5 / 3, abs=1e-3)


def test_a_variant_that_lost_accuracy_is_refused_whatever_error_is_allowed(tmp_path: Path) -> None:
    release = copied_release("sequence_classification", tmp_path / "release")
    data = evaluation("sequence_classification", tmp_path, examples=200)
    # Labels that eager gets right, so that whatever the variant changes is a loss.
    eager_answers = _eager_labels(data)
    lines = [json.loads(line) for line in data.read_text().splitlines()]
    data.write_text(
        "".join(
            json.dumps(line | {"label": label}) + "\n"
            for line, label in zip(lines, eager_answers, strict=True)
        )
    )
    change_weight(release, "classifier.weight", lambda weight: np.roll(weight, 1, axis=1))
    (variant,) = validated(
        "sequence_classification", release, data, replace(GATES, limits={"fp32": Limits()})
    ).variants
    assert failed(variant) == {"loss of accuracy"}
    assert variant.metrics[0].eager == 1.0
    assert variant.metrics[0].variant < 0.9
    assert variant.label_agreement == variant.metrics[0].variant


def _eager_labels(data: Path) -> list[str]:
    import distilforge

    session = distilforge.open(
        published("sequence_classification", LABELS["sequence_classification"]).release,
        head=distilforge.SequenceClassification,
    )
    return [
        answer.label
        for answer in session([json.loads(line)["text"] for line in data.read_text().splitlines()])
    ]


def test_nan_has_its_own_check_and_never_reaches_json(tmp_path: Path) -> None:
    release = copied_release("token_classification", tmp_path / "release")
    change_weight(release, "classifier.bias", lambda bias: bias + np.float32([math.nan, 0, 0, 0, 0, 0]))
    report = validated("token_classification", release, evaluation("token_classification", tmp_path))
    (variant,) = report.variants
    assert "non-finite outputs" in failed(variant)
    assert Report.from_json(report.to_json()) == report


def test_nan_from_eager_is_an_error() -> None:
    pair = published("sequence_classification", LABELS["sequence_classification"])
    eager = Eager(pair.checkpoint, "sequence_classification")
    with torch.no_grad():
        eager.model.get_parameter("classifier.bias")[0] = math.nan
    ids = np.ones((1, 4), dtype=np.int64)
    with pytest.raises(UnusableReferenceError, match=r"NaN or infinity in 'logits' of shape \(1, 3\)"):
        eager.run({"input_ids": ids, "attention_mask": ids})


def test_a_release_of_another_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="has the head 'features'; it is to be validated as 'masked_lm'"):
        validate(
            published("features").release,
            published("masked_lm").checkpoint,
            "masked_lm",
            evaluation=None,
            gates=GATES,
            progress=lambda line: None,
        )


def test_several_variants_share_one_pass_and_are_judged_apart(tmp_path: Path) -> None:
    head = "sequence_classification"
    release = copied_release(head, tmp_path / "release")
    (release / "onnx" / "other.onnx").write_bytes((release / GRAPH).read_bytes())
    manifest = read_manifest(release)
    (variant,) = manifest.variants
    other = replace(variant, precision="other", files=("onnx/other.onnx",))
    write_manifest(release, replace(manifest, variants=(variant, other)))
    change_weight(release, "classifier.bias", lambda bias: bias + 1)
    broken, sound = validated(head, release, evaluation(head, tmp_path)).variants
    assert (broken.name, broken.passed) == ("onnxruntime-cpu:fp32", False)
    assert (sound.name, sound.passed) == ("onnxruntime-cpu:other", True)


def test_matches_that_read_alike_once_they_are_cut_are_not_judged_and_the_report_says_so(
    tmp_path: Path,
) -> None:
    path = tmp_path / "long.jsonl"
    lines = ({"text": f"{word} film", "match": f"{'cat ' * 99}{word}"} for word in ("good", "bad", "great"))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (variant,) = validated("features", published("features").release, path).variants
    assert [metric.name for metric in variant.metrics] == ["embedding cosine"]
    (note,) = (note for note in variant.notes if "Retrieval was not judged" in note)
    assert "the model reads the same tokens in all 3 matches, as they are cut off" in note


def test_long_texts_are_cut_and_the_report_says_so(tmp_path: Path) -> None:
    head = "sequence_classification"
    path = tmp_path / "long.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text or "a", "label": 0}) + "\n" for text in ("cat " * 99, *TEXTS[:2]))
    )
    report = validated(head, published(head, LABELS[head]).release, path)
    assert report.examples == 3
    assert any("1 of 3 texts had more than 64 tokens and were cut off there" in note for note in report.notes)
    assert any("3 examples are too few" in note for note in report.notes)


@pytest.mark.parametrize(
    ("head", "record", "message"),
    [
        (
            "masked_lm",
            {"text": "a [MASK]", "targets": ["unmaking"]},
            "not one wordpiece of the model's vocabulary",
        ),
        (
            "multiple_choice",
            {"context": "a", "choices": list("abcdef"), "label": 0},
            "has 6 texts; the release takes 2 to 5",
        ),
        (
            "question_answering",
            {"question": "cat " * 70, "context": "a dog", "answers": []},
            "leaves no room for the second",
        ),
    ],
)
def test_data_that_this_model_cannot_take_names_its_line(
    head: str, record: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("\n" + json.dumps(record) + "\n")
    with pytest.raises(DataError) as caught:
        validated(head, published(head).release, path)
    assert caught.value.message.startswith(f"{path}:2: ")
    assert message in caught.value.message


def test_one_example_is_too_few_for_an_interval(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"text": "a", "label": 0}) + "\n")
    head = "sequence_classification"
    with pytest.raises(DataError, match="holds 1 example; an interval needs at least 2"):
        validated(head, published(head, LABELS[head]).release, path)


def test_examples_in_which_the_model_reads_the_same_count_once(tmp_path: Path) -> None:
    head = "sequence_classification"
    lines = [json.dumps({"text": text, "label": 0}) for text in ("a good film", "a bad film")]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines * 250))
    report = validated(head, published(head, LABELS[head]).release, path)
    assert report.examples == 2
    assert "498 of 500 examples repeat the text of an earlier one and were left out." in report.notes
    (variant,) = report.variants
    assert variant.metrics[0].examples == 2
    (loss,) = (verdict for verdict in variant.verdicts if verdict.kind == "loss")
    assert loss.outcome == "not settled"
    assert any("2 different examples are too few" in note for note in variant.notes)
    path.write_text(f"{lines[0]}\n" * 9)
    with pytest.raises(DataError, match=r"holds 9 examples, but only 1 different one: .* an interval needs"):
        validated(head, published(head, LABELS[head]).release, path)


def test_a_text_and_another_one_of_which_the_model_reads_the_same_count_once(tmp_path: Path) -> None:
    head = "sequence_classification"
    path = tmp_path / "data.jsonl"
    texts = ("Good  film", "good film", "bad film", "cat " * 80 + "good", "cat " * 80 + "bad")
    path.write_text("".join(json.dumps({"text": text, "label": 0}) + "\n" for text in texts))
    # Case, spaces, and what is beyond 64 tokens make no difference to the model
    assert validated(head, published(head, LABELS[head]).release, path).examples == 3


def test_labels_in_another_order_are_refused_and_said(tmp_path: Path) -> None:
    head = "sequence_classification"
    data = evaluation(head, tmp_path, examples=200)
    labels = list(LABELS[head])
    answers = _eager_labels(data)
    lines = [json.loads(line) for line in data.read_text().splitlines()]

    def write(order: list[str]) -> None:
        data.write_text(
            "".join(
                json.dumps(line | {"label": order[labels.index(answer)]}) + "\n"
                for line, answer in zip(lines, answers, strict=True)
            )
        )

    assert len(set(answers)) > 1, "a model that always gives one label shows no order"
    write(labels)
    sound = validated(head, published(head, LABELS[head]).release, data)
    assert sound.passed
    assert not any("do not fit" in note for note in sound.notes)
    write([*labels[1:], labels[0]])
    report = validated(head, published(head, LABELS[head]).release, data)
    (variant,) = report.variants
    assert any(check.startswith("eager's accuracy above chance") for check in failed(variant))
    (note,) = (note for note in report.notes if "do not fit" in note)
    assert f"{labels[1]!r} seems to be the model's {labels[0]!r}" in note
    assert note in variant.notes


@pytest.mark.parametrize("head", heads.names())
def test_random_labels_settle_no_loss(head: str, tmp_path: Path) -> None:
    report = validated(head, published(head, LABELS.get(head, ())).release, evaluation(head, tmp_path))
    (variant,) = report.variants
    (loss,) = (verdict for verdict in variant.verdicts if verdict.kind == "loss")
    assert loss.outcome == "not settled"
    assert any("not shown that the labels fit" in note for note in variant.notes)
