"""Dependence on padding and on the batch is found with its size, for made-up models that depend on them or do not."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from distilforge.tokenizer import Tokenizer

from tests.runtime_release import LABELS, published, read_manifest
from tests.validation_runs import evaluation
from validation.answers import invariance
from validation.answers.accuracy import Evaluation
from validation.answers.batches import Feeds, Run
from validation.tasks.base import Floats, ReleaseReader
from validation.validate import encode_evaluation

HEAD = "sequence_classification"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    release = published(HEAD, LABELS[HEAD]).release
    reader = ReleaseReader(manifest=read_manifest(release), tokenizer=Tokenizer(release), vocabulary=10_000)
    encoded = encode_evaluation(evaluation(HEAD, Path(tmp_path_factory.mktemp("data"))), reader)
    assert encoded is not None
    return encoded


def by_row(feeds: Feeds) -> Floats:
    """Logits of three labels that depend on nothing but the row's own tokens."""
    totals = (feeds["input_ids"] * feeds["attention_mask"]).sum(axis=1)
    return np.stack([totals % 7, totals % 5, totals % 3], axis=1).astype(np.float32)


def independent(feeds: Feeds) -> Mapping[str, Floats]:
    return {"logits": by_row(feeds)}


def by_padding(feeds: Feeds) -> Mapping[str, Floats]:
    """One label is 0.1 more likely, in logits, for each token of padding."""
    padding = (feeds["attention_mask"] == 0).sum(axis=1)
    return {"logits": by_row(feeds) + np.float32(0.1) * padding[:, None] * np.eye(3, dtype=np.float32)[0]}


def by_batch(feeds: Feeds) -> Mapping[str, Floats]:
    """All rows get the answer of the batch's first row."""
    logits = by_row(feeds)
    return {"logits": np.broadcast_to(logits[:1], logits.shape).copy()}


def measured(evaluated: Evaluation, run: Run) -> tuple[tuple[float, int], tuple[float, int]]:
    padded, batched = invariance.measure(invariance.sample(evaluated), run, workers=2)
    assert (padded.way, batched.way) == ("padded", "batched")
    assert padded.texts == batched.texts == padded.decisions == invariance.TEXTS
    return (padded.largest, padded.changed), (batched.largest, batched.changed)


def test_a_model_of_the_row_alone_is_independent(evaluated: Evaluation) -> None:
    assert measured(evaluated, independent) == ((0.0, 0), (0.0, 0))


def test_a_model_that_reads_padding_is_found_padded_and_batched(evaluated: Evaluation) -> None:
    padded, batched = measured(evaluated, by_padding)
    # The longest text has 10 tokens and is padded to 15: at most half a logit, which moves a probability by an eighth
    assert 0.01 < padded[0] < 0.13
    assert batched[0] > 0.01


def test_a_model_that_mixes_rows_is_found_batched_and_not_padded(evaluated: Evaluation) -> None:
    padded, batched = measured(evaluated, by_batch)
    assert padded == (0.0, 0)
    assert batched[0] > 0.5
    assert batched[1] > 5


def test_values_that_are_not_finite_change_scores_and_break_nothing(evaluated: Evaluation) -> None:
    def broken(feeds: Feeds) -> Mapping[str, Floats]:
        logits = by_row(feeds)
        if len(logits) > 1:
            logits[0] = np.nan
        return {"logits": logits}

    padded, batched = measured(evaluated, broken)
    assert padded == (0.0, 0)
    assert np.isfinite(batched[0])
    assert batched[0] > 0


def test_the_sample_is_spread_over_the_lengths(evaluated: Evaluation) -> None:
    lengths = sorted(row.tokens for row in evaluated.rows)
    sampled = sorted(row.tokens for row in invariance.sample(evaluated).rows)
    assert len(sampled) == invariance.TEXTS < len(lengths)
    assert (sampled[0], sampled[-1]) == (lengths[0], lengths[-1])
    # 24 of 40 texts: of two with the same length, one is taken
    assert {length for length in lengths if lengths.count(length) > 1} <= set(sampled)


def test_fewer_texts_than_the_sample_are_all_taken(evaluated: Evaluation) -> None:
    few = Evaluation.of(evaluated.task, evaluated.examples[:5], evaluated.reader)
    assert len(invariance.sample(few).examples) == 5
