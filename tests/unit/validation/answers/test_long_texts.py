"""Long texts are made of the evaluation's, for every head and every span."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.manifest import Span
from distilforge.tokenizer import Tokenizer

from model_src import heads
from tests.runtime_release import LABELS, published, read_manifest
from tests.validation_runs import evaluation
from validation.answers import long_texts
from validation.answers.accuracy import Evaluation
from validation.answers.batches import Feeds
from validation.tasks.base import ReleaseReader
from validation.validate import encode_evaluation


def evaluated(head: str, folder: Path, **spans: Span) -> Evaluation:
    release = published(head, LABELS.get(head, ())).release
    manifest = read_manifest(release)
    manifest = replace(manifest, spans={**manifest.spans, **spans})
    reader = ReleaseReader(manifest=manifest, tokenizer=Tokenizer(release), vocabulary=10_000)
    encoded = encode_evaluation(evaluation(head, folder), reader)
    assert encoded is not None
    return encoded


def lengths(batches: list[Feeds]) -> list[int]:
    return sorted(int(length) for feeds in batches for length in feeds["attention_mask"].sum(axis=-1).ravel())


@pytest.mark.parametrize("head", heads.names())
def test_texts_of_every_head_reach_from_half_of_the_longest_to_the_longest(head: str, tmp_path: Path) -> None:
    texts = evaluated(head, tmp_path)
    batches = list(long_texts.batches(texts))
    found = lengths(batches)
    assert len(found) >= long_texts.TEXTS
    assert (found[0], found[-1]) == (texts.reader.longest // 2 + 1, texts.reader.longest)
    assert len(set(found)) > long_texts.TEXTS // 2
    tokens = {token for row in texts.rows for encoding in row.encodings for token in encoding.ids}
    for feeds in batches:
        assert all(rows in texts.reader.spans["batch"] for rows in feeds["input_ids"].shape[:1])
        assert feeds["input_ids"].ndim == 2 + ("choices" in texts.reader.spans)
        assert set(feeds["input_ids"][feeds["attention_mask"] == 1].tolist()) <= tokens
        # Each begins and ends as every text does
        first = texts.rows[0].encodings[0].ids
        assert (feeds["input_ids"][..., 0] == first[0]).all()
        ends = feeds["attention_mask"].sum(axis=-1, keepdims=True) - 1
        assert (np.take_along_axis(feeds["input_ids"], ends, axis=-1) == first[-1]).all()


def test_a_release_that_takes_one_shape_gets_it(tmp_path: Path) -> None:
    fixed = {"batch": Span(low=3, usual=3, high=3), "sequence": Span(low=16, usual=16, high=16)}
    texts = evaluated("sequence_classification", tmp_path, **fixed)
    assert {feeds["input_ids"].shape for feeds in long_texts.batches(texts)} == {(3, 16)}


def test_they_are_the_same_in_every_build(tmp_path: Path) -> None:
    texts = evaluated("features", tmp_path)
    for first, second in zip(long_texts.batches(texts), long_texts.batches(texts), strict=True):
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name])


def test_texts_without_any_token_give_none(tmp_path: Path) -> None:
    texts = evaluated("features", tmp_path)
    empty = texts.reader.tokenizer.encode(["\x00"])[0]
    assert len(empty) == 2
    rows = tuple(replace(row, encodings=(empty,)) for row in texts.rows)
    assert list(long_texts.batches(replace(texts, rows=rows))) == []
