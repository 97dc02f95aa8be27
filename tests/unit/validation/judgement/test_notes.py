"""Notes on the evaluation: what was not judged, what was left out, and what so few examples cannot show."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.tokenizer import Tokenizer

from tests.runtime_release import LABELS, published, read_manifest
from tests.validation_runs import evaluation
from validation.answers.accuracy import Evaluation
from validation.gates import Gates
from validation.judgement.notes import describe, notes, smallest_provable_loss
from validation.tasks.base import ReleaseReader
from validation.validate import encode_evaluation

HEAD = "sequence_classification"


def evaluated(data: Path | None) -> Evaluation:
    release = published(HEAD, LABELS[HEAD]).release
    reader = ReleaseReader(manifest=read_manifest(release), tokenizer=Tokenizer(release), vocabulary=10_000)
    encoded = encode_evaluation(data, reader)
    assert encoded is not None
    return encoded


def test_few_examples_cannot_show_much() -> None:
    assert smallest_provable_loss(60, 0.95) == pytest.approx(0.05, abs=1e-3)  # 3 / N, the rule of three
    assert smallest_provable_loss(300, 0.95) < 0.01 < smallest_provable_loss(299, 0.95)
    assert smallest_provable_loss(300, 0.99) > 0.01


@pytest.mark.parametrize("margin", [0.05, 0.1])
def test_the_note_asks_for_as_many_examples_as_are_enough(margin: float, tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path, examples=20)
    (note,) = notes(data, evaluated(data), Gates(margin=margin))
    needed = int(note.rpartition("give ")[2].split()[0].replace(",", ""))
    assert needed == math.ceil(-math.log(0.05) / margin)
    assert smallest_provable_loss(needed, 0.95) <= margin < smallest_provable_loss(needed - 1, 0.95)
    assert note.startswith(
        "20 examples are too few: even if no answer differs, they cannot exclude a loss of 15.0%"
    )


def test_the_note_says_what_loss_enough_examples_could_show(tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path, examples=40)
    (note,) = notes(data, evaluated(data), Gates(margin=0.1))
    assert (
        note
        == "All 40 different examples together could at best show a loss of 7.49% or more, at 95% confidence."
    )
    repeated = replace(evaluated(data), repeated=1200)
    assert "1,200 of 1,240 examples repeat the text of an earlier one and were left out." in notes(
        data, repeated, Gates(margin=0.1)
    )


def test_the_note_tells_what_is_excluded_from_the_margin(tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path, examples=20)
    (note,) = notes(data, evaluated(data), Gates(margin=0.1497))
    assert "they cannot exclude a loss of 14.98% at 95% confidence, and the margin is 14.97%" in note


def test_a_confidence_is_not_rounded_to_certainty(tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path, examples=20)
    (note,) = notes(data, evaluated(data), Gates(confidence=0.999))
    assert "at 99.9% confidence" in note


def test_labels_with_one_name_are_told() -> None:
    unlabelled = evaluated(None)
    assert unlabelled.reader.manifest.labels == LABELS[HEAD]
    doubled = replace(unlabelled.reader, manifest=replace(unlabelled.reader.manifest, labels=("a", "b", "a")))
    _, sentence = notes(None, replace(unlabelled, reader=doubled), Gates())[:2]
    assert sentence == "Several labels have the name 'a': an application cannot tell them apart."


def test_without_data_the_notes_say_that_accuracy_was_not_judged() -> None:
    unlabelled = evaluated(None)
    first, *others = notes(None, unlabelled, Gates())
    assert "accuracy was not judged" in first
    assert not any("too few" in note for note in others)
    assert notes(None, None, Gates())[-1].startswith("The demo does not have texts that this model can read")
    (_, left_out) = notes(None, replace(unlabelled, rows=(), left_out=7), Gates())
    assert left_out == "7 of the demo's texts do not fit this model and were left out."


def test_texts_are_named_by_their_file_and_its_digest(tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path, examples=3)
    line = describe(data, evaluated(data))
    assert line.startswith("evaluation.jsonl, SHA-256 ")
    other = tmp_path / "other" / "evaluation.jsonl"
    other.parent.mkdir()
    other.write_text(data.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert describe(other, evaluated(other)) != line
    assert describe(None, evaluated(None)) == "texts of the demo, without labels"
    assert describe(None, None) == "no texts"
