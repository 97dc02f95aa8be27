"""Which requests run together."""

import numpy as np
from distilforge.batching.packing import pack
from distilforge.batching.requests import Request, request_of
from distilforge.manifest import Span

from tests.batched_session import open_session

MANIFEST = open_session("sequence_classification").manifest
CHOICES = open_session("multiple_choice").manifest


def requests(*shapes: tuple[int, ...]) -> list[Request]:
    return [
        request_of(
            {name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask")},
            MANIFEST if len(shape) == 2 else CHOICES,
            float(index),
        )
        for index, shape in enumerate(shapes)
    ]


def packed(
    *shapes: tuple[int, ...], rows: int = 8, tokens: int = 64, padding: float = 0.5
) -> tuple[list[int], bool]:
    """Which of the requests run, and whether the pack is full."""
    waiting = requests(*shapes)
    result = pack(waiting, most_rows=rows, most_tokens=tokens, most_padding=padding)
    return [waiting.index(request) for request in result.requests], result.full


def test_all_that_fit_run_together() -> None:
    assert packed((1, 8), (1, 8), (1, 6)) == ([0, 1, 2], False)


def test_the_rows_fill_a_run() -> None:
    assert packed((4, 4), (4, 4), (1, 4)) == ([0, 1], True)


def test_the_tokens_fill_a_run() -> None:
    assert packed(*[(1, 16)] * 6) == ([0, 1, 2, 3], True)


def test_the_padding_counts() -> None:
    # Two rows of 40 have 80 tokens, although the texts have 70
    assert packed((1, 30), (1, 40)) == ([0], True)


def test_the_oldest_runs_even_if_it_is_larger_than_a_run() -> None:
    assert packed((2, 64), (1, 4)) == ([0], True)


def test_similar_lengths_run_together() -> None:
    assert packed((1, 20), (1, 4), (1, 19), (1, 21), (1, 5)) == ([0, 2, 3], True)


def test_a_run_is_not_mostly_padding() -> None:
    # 2 x 16 tokens of which 14 would be padding are allowed; 3 x 16 of which 28 would be are not
    assert packed((1, 16), (1, 2), (1, 2)) == ([0, 1], False)


def test_no_padding_at_all() -> None:
    assert packed((1, 16), (1, 15), (1, 16), padding=0.0) == ([0, 2], False)


def test_any_padding() -> None:
    assert packed((1, 16), (1, 2), (1, 2), padding=1.0) == ([0, 1, 2], False)


def test_other_numbers_of_choices_run_apart() -> None:
    assert packed((1, 2, 4), (1, 3, 4), (1, 2, 4)) == ([0, 2], False)


def test_choices_count_as_sequences() -> None:
    assert packed((1, 4, 8), (1, 4, 8), (1, 4, 8)) == ([0, 1], True)


def test_the_manifest_of_these_tests_has_the_axes() -> None:
    assert MANIFEST.spans["batch"] == Span(low=1, usual=4, high=8)
