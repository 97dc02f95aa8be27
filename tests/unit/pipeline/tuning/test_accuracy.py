"""What a search makes of verdicts on some of the texts, and the answers of eager PyTorch that it remembers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.manifest import Verdict

from pipeline.tuning import accuracy
from pipeline.tuning.accuracy import CachedEager, is_final
from tests.conftest import MakeCheckpoint
from validation.answers.batches import Feeds
from validation.answers.eager import Eager
from validation.judgement import verdicts

LOSS = Verdict(
    check="loss",
    observed=0.03,
    comparison="at most",
    limit=0.01,
    unit="",
    reason="",
    interval=(0.005, 0.03),
    kind=verdicts.LOSS,
)
AGREEMENT = Verdict(
    check="labels",
    observed=0.97,
    comparison="at least",
    limit=0.98,
    unit="",
    reason="",
    kind=verdicts.AGREEMENT,
)
NOISE = Verdict(check="noise", observed=0.5, comparison="at most", limit=0.35, unit="", reason="")


def test_some_texts_only_reject_a_plan_that_surely_fails() -> None:
    assert not is_final(LOSS, 200, 0.95)
    assert is_final(replace(LOSS, interval=(0.011, 0.03)), 200, 0.95)
    assert not is_final(AGREEMENT, 200, 0.95)
    assert is_final(replace(AGREEMENT, observed=0.8), 200, 0.95)
    assert is_final(NOISE, 200, 0.95)


def test_the_fewer_the_texts_the_less_is_final() -> None:
    worse = replace(AGREEMENT, observed=0.9)
    # Clopper and Pearson's upper ends at 95%: 0.99 for 9 agreements in 10, 0.93 for 180 in 200
    assert not is_final(worse, 10, 0.95)
    assert is_final(worse, 200, 0.95)


def test_a_loss_is_final_from_the_limit_on() -> None:
    at_limit = replace(LOSS, interval=(LOSS.limit, 0.03))
    assert not is_final(at_limit, 200, 0.95)
    assert is_final(replace(LOSS, interval=(np.nextafter(LOSS.limit, 1), 0.03)), 200, 0.95)


@pytest.fixture
def eager(make_checkpoint: MakeCheckpoint) -> CachedEager:
    head = "sequence_classification"
    checkpoint: Path = make_checkpoint(head, n_layers=1)
    return CachedEager(Eager(checkpoint, head))


def feeds(rows: int = 1, first: int = 5) -> Feeds:
    ids = np.arange(first, first + 4 * rows, dtype=np.int64).reshape(rows, 4)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def test_answers_are_computed_once(eager: CachedEager) -> None:
    answers = eager.run(feeds())
    np.testing.assert_array_equal(answers["logits"], eager.eager.run(feeds())["logits"])
    assert eager.run(feeds()) is answers
    assert eager.run(feeds(first=6)) is not answers


def test_the_same_bytes_in_another_shape_are_other_inputs(eager: CachedEager) -> None:
    two_texts, one_text = feeds(2), {name: array.reshape(1, 8) for name, array in feeds(2).items()}
    assert eager.run(two_texts)["logits"].shape[0] == 2
    assert eager.run(one_text)["logits"].shape[0] == 1


def test_answers_beyond_the_limit_are_computed_again(
    eager: CachedEager, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(array.nbytes for array in eager.eager.run(feeds()).values())
    monkeypatch.setattr(accuracy, "CACHE_BYTES", size)
    small = CachedEager(eager.eager)
    first, second = small.run(feeds()), small.run(feeds(first=6))
    assert small.run(feeds()) is first
    again = small.run(feeds(first=6))
    assert again is not second
    np.testing.assert_array_equal(again["logits"], second["logits"])
