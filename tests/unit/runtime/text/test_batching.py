"""Batches hold every row once, within the release's spans, and with little padding."""

from distilforge.manifest import Span
from distilforge.text.batching import batches
from hypothesis import given
from hypothesis import strategies as st

BATCH = Span(low=1, usual=8, high=32)
SEQUENCE = Span(low=1, usual=128, high=512)


@given(st.lists(st.integers(1, 512), max_size=100))
def test_every_row_once_and_within_bounds(lengths: list[int]) -> None:
    groups = list(batches(lengths, BATCH, SEQUENCE))
    assert sorted(row for rows in groups for row in rows) == list(range(len(lengths)))
    for rows in groups:
        assert len(rows) <= BATCH.high
        longest = max(lengths[row] for row in rows)
        assert len(rows) == 1 or len(rows) * longest <= BATCH.usual * SEQUENCE.usual


def test_texts_of_similar_length_go_together() -> None:
    lengths = [512, 3, 512, 4] * 4
    slots = sum(len(rows) * max(lengths[row] for row in rows) for rows in batches(lengths, BATCH, SEQUENCE))
    assert slots <= 1.05 * sum(lengths)
