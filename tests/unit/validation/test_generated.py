"""Generated inputs reach the spans' edges."""

import pytest
from distilforge.manifest import Span

from validation.batches import SLOTS
from validation.generated import cases

SPANS = {
    "batch": Span(low=1, usual=8, high=32),
    "sequence": Span(low=1, usual=128, high=512),
    "choices": Span(low=2, usual=4, high=8),
}


@pytest.mark.parametrize("axes", [("batch", "sequence"), ("batch", "choices", "sequence")])
def test_the_edges_of_every_span_are_there_and_the_cost_is_bounded(axes: tuple[str, ...]) -> None:
    found = list(cases({axis: SPANS[axis] for axis in axes}, 100))
    shapes = [case.feeds["input_ids"].shape for case in found]
    for index, axis in enumerate(axes):
        sizes = {shape[index] for shape in shapes}
        assert {SPANS[axis].low, SPANS[axis].high} <= sizes, axis
    assert all(case.feeds["input_ids"].size <= 4 * SLOTS for case in found)
    assert all(case.feeds["input_ids"].max() < 100 for case in found)
    lengths = [case.feeds["attention_mask"].sum(axis=-1) for case in found]
    assert any(len(set(length.ravel())) > 2 for length in lengths), "ragged"
    (masked,) = [case for case in found if not case.compared]
    assert masked.feeds["attention_mask"].sum(axis=-1).min() == 0
    assert all((length > 0).all() for case, length in zip(found, lengths, strict=True) if case.compared)


def test_a_release_that_takes_one_shape_only_is_still_covered() -> None:
    fixed = {"batch": Span(low=1, usual=1, high=1), "sequence": Span(low=16, usual=16, high=16)}
    assert {case.feeds["input_ids"].shape for case in cases(fixed, 100)} == {(1, 16)}
