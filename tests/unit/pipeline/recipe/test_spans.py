"""Spans: given, completed, and held against the position embeddings."""

import pytest
from distilforge.manifest import Span

from pipeline.errors import UsageError
from pipeline.recipe.spans import complete

BOTH = ("batch", "sequence")


def test_defaults_end_at_the_position_embeddings() -> None:
    assert complete({}, BOTH, 512) == {
        "batch": Span(low=1, usual=8, high=32),
        "sequence": Span(low=1, usual=128, high=512),
    }
    assert complete({}, BOTH, 64)["sequence"] == Span(low=1, usual=64, high=64)


def test_choices_have_a_span_where_the_head_has_them() -> None:
    assert complete({}, ("batch", "choices", "sequence"), 64)["choices"] == Span(low=1, usual=4, high=8)


def test_what_is_given_stays() -> None:
    given = {"sequence": Span(low=2, usual=3, high=4)}
    assert complete(given, BOTH, 64)["sequence"] == given["sequence"]


def test_a_span_beyond_the_limit_of_a_release() -> None:
    with pytest.raises(
        UsageError, match="span of 'batch' goes to 1,000,000,000; at most 1,000,000 is allowed"
    ):
        complete({"batch": Span(low=1, usual=8, high=10**9)}, BOTH, 64)


def test_an_axis_that_the_head_lacks_is_an_error() -> None:
    with pytest.raises(UsageError, match="given for 'choices'; the head's axes are batch, sequence"):
        complete({"choices": Span(low=1, usual=1, high=1)}, BOTH, 64)


def test_more_tokens_than_positions_are_an_error_with_both_numbers() -> None:
    with pytest.raises(UsageError, match="goes to 65 tokens; the checkpoint reads at most 64"):
        complete({"sequence": Span(low=1, usual=8, high=65)}, BOTH, 64)
