"""Calibration data as batches, which are made as the runtime and validation make them."""

import json
from pathlib import Path

import numpy as np
import pytest
from distilforge.manifest import Span

from pipeline.errors import UsageError
from pipeline.stages import calibration
from tests.conftest import DEMO_HEADS, MakeCheckpoint
from validation.errors import DataError

SPANS = {"batch": Span(low=1, usual=8, high=32), "sequence": Span(low=1, usual=32, high=64)}
CHOICES = {"choices": Span(low=1, usual=4, high=8)}


def spans_of(head: str) -> dict[str, Span]:
    return SPANS | (CHOICES if head == "multiple_choice" else {})


@pytest.mark.parametrize("head", DEMO_HEADS)
def test_the_texts_of_the_demo_are_batches(make_checkpoint: MakeCheckpoint, head: str) -> None:
    make_batches = calibration.feeds(make_checkpoint(head), head, spans_of(head), None, most=20)
    batches = list(make_batches())
    assert batches
    for batch in batches:
        ids, mask = batch["input_ids"], batch["attention_mask"]
        assert ids.dtype == mask.dtype == np.int64
        assert ids.shape == mask.shape
        assert ids.ndim == (3 if head == "multiple_choice" else 2)
        assert ids.shape[-1] <= 64
        assert mask.any(-1).all()
    # A second call starts again
    for again, first in zip(make_batches(), batches, strict=True):
        np.testing.assert_array_equal(again["input_ids"], first["input_ids"])


def texts(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def test_a_file_does_not_need_the_labels_of_the_model(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    head = "sequence_classification"
    data = texts(tmp_path / "texts.jsonl", *({"text": f"good movie {n}", "label": "other"} for n in range(9)))
    (batch,) = calibration.feeds(make_checkpoint(head), head, SPANS, data)()
    assert len(batch["input_ids"]) == 9


def test_texts_are_taken_from_all_over_the_file(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    head = "sequence_classification"
    lines = ({"text": "good " * (1 + n // 50), "label": "x"} for n in range(100))
    make_batches = calibration.feeds(
        make_checkpoint(head), head, SPANS, texts(tmp_path / "t.jsonl", *lines), most=10
    )
    lengths = sorted(int(row.sum()) for batch in make_batches() for row in batch["attention_mask"])
    assert lengths == [3] * 5 + [4] * 5


def test_data_of_another_head_is_an_error(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    data = texts(tmp_path / "t.jsonl", {"question": "who", "context": "she won", "answers": []})
    with pytest.raises(DataError, match="question_answering"):
        calibration.feeds(make_checkpoint("token_classification"), "token_classification", SPANS, data)


def test_a_head_without_texts_is_an_error(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("validation.data.DEMO", tmp_path)
    with pytest.raises(UsageError, match="--calibration"):
        calibration.feeds(make_checkpoint("features"), "features", SPANS, None)


def test_no_text_that_fits_is_an_error(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    head = "multiple_choice"
    data = texts(tmp_path / "t.jsonl", {"context": "a", "choices": ["b"] * 9, "label": 0})
    with pytest.raises(UsageError, match="none of the 1 texts"):
        calibration.feeds(make_checkpoint(head), head, spans_of(head), data)


def test_texts_that_are_drawn_do_not_follow_a_pattern_in_the_data(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    head = "sequence_classification"
    # Every second text is long; each second one of them all would be long, or none
    data = texts(tmp_path / "t.jsonl", *({"text": "good " * (1 + 9 * (n % 2))} for n in range(100)))
    make_batches = calibration.feeds(make_checkpoint(head), head, SPANS, data, most=50, seed=0)
    lengths = [int(length) for batch in make_batches() for length in batch["attention_mask"].sum(axis=1)]
    assert len(lengths) == 50
    assert 10 <= sum(length > 5 for length in lengths) <= 40


def test_windows_that_are_drawn_reach_the_end_of_long_texts(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    head = "question_answering"
    context = " ".join(["good"] * 600 + ["movie"] * 20)
    data = texts(
        tmp_path / "t.jsonl", *({"question": f"who {n}", "context": f"{context} {n}"} for n in range(40))
    )
    checkpoint = make_checkpoint(head)
    first, drawn = (
        [
            frozenset(row[mask == 1].tolist())
            for batch in calibration.feeds(checkpoint, head, SPANS, data, seed=seed)()
            for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ]
        for seed in (None, 0)
    )
    assert len(first) == len(drawn) == 40 * calibration.MOST_WINDOWS
    words = frozenset.union(*first)
    assert frozenset.union(*drawn) - words, "no window with the last words of a context was drawn"
