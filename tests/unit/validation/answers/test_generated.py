"""Generated inputs reach both ends of every span."""

import numpy as np
import pytest
from distilforge.manifest import Span

from validation.answers.batches import SLOTS
from validation.answers.generated import cases, random_feeds

SPANS = {
    "batch": Span(low=1, usual=8, high=32),
    "sequence": Span(low=1, usual=128, high=512),
    "choices": Span(low=2, usual=4, high=8),
}


@pytest.mark.parametrize("axes", [("batch", "sequence"), ("batch", "choices", "sequence")])
def test_both_ends_of_every_span_are_there_and_the_cost_is_bounded(axes: tuple[str, ...]) -> None:
    generated = list(cases({axis: SPANS[axis] for axis in axes}, 100))
    shapes = [case.feeds["input_ids"].shape for case in generated]
    for index, axis in enumerate(axes):
        sizes = {shape[index] for shape in shapes}
        assert {SPANS[axis].low, SPANS[axis].high} <= sizes, axis
    assert all(case.feeds["input_ids"].size <= 4 * SLOTS for case in generated)
    assert all(case.feeds["input_ids"].max() < 100 for case in generated)
    lengths = [case.feeds["attention_mask"].sum(axis=-1) for case in generated]
    assert any(len(set(length.ravel())) > 2 for length in lengths), "ragged"
    (masked,) = [case for case in generated if not case.compared]
    assert masked.feeds["attention_mask"].sum(axis=-1).min() == 0
    assert all((length > 0).all() for case, length in zip(generated, lengths, strict=True) if case.compared)


@pytest.mark.parametrize("axes", [("batch", "sequence"), ("batch", "choices", "sequence")])
def test_the_length_of_an_empty_text_is_compared(axes: tuple[str, ...]) -> None:
    shapes = [
        case.feeds["input_ids"].shape
        for case in cases({axis: SPANS[axis] for axis in axes}, 100)
        if case.compared
    ]
    assert any(shape[-1] == 2 for shape in shapes)


def test_there_are_as_many_texts_in_rows_of_the_most_choices_as_in_the_largest_batch() -> None:
    texts: dict[int, int] = {}
    for case in cases(SPANS, 100):
        _, choices, tokens = case.feeds["input_ids"].shape
        if case.compared and tokens > 2:
            texts[choices] = max(texts.get(choices, 0), case.feeds["input_ids"].size // tokens)
    assert texts[SPANS["choices"].high] >= texts[SPANS["choices"].usual]


def test_a_release_that_takes_one_shape_only_is_still_covered() -> None:
    fixed = {"batch": Span(low=1, usual=1, high=1), "sequence": Span(low=16, usual=16, high=16)}
    assert {case.feeds["input_ids"].shape for case in cases(fixed, 100)} == {(1, 16)}


def test_generated_inputs_are_the_same_in_every_build() -> None:
    spans = {axis: SPANS[axis] for axis in ("batch", "sequence")}
    for first, second in zip(cases(spans, 100), cases(spans, 100), strict=True):
        assert first.name == second.name
        for name, array in first.feeds.items():
            np.testing.assert_array_equal(array, second.feeds[name])


def test_every_row_keeps_the_tokens_that_the_span_asks_for() -> None:
    spans = {"batch": Span(low=2, usual=4, high=8), "sequence": Span(low=6, usual=16, high=64)}
    for case in cases(spans, 100):
        mask = case.feeds["attention_mask"]
        assert mask.shape[0] >= 2
        # A mask is 1 from the first token on and then 0
        assert (np.diff(mask, axis=-1) <= 0).all()
        if case.compared:
            assert (mask.sum(axis=-1) >= 6).all()


def test_random_inputs_are_of_the_vocabulary_and_unmasked() -> None:
    feeds = random_feeds((3, 2, 500), 7, np.random.default_rng(0))
    assert set(feeds["input_ids"].ravel().tolist()) == set(range(7))
    assert feeds["attention_mask"].all()
    assert {array.dtype for array in feeds.values()} == {np.dtype(np.int64)}
