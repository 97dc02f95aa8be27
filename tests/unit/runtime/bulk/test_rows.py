"""How rows become batches."""

import pytest
from distilforge.bulk.rows import BATCH_CHARACTERS, BATCH_ROWS, Row, batches


def test_batches_begin_at_multiples_and_end_with_the_rest() -> None:
    rows = [{"text": str(index)} for index in range(2 * BATCH_ROWS + 3)]
    batched = list(batches(rows, lambda: 0.25, 0))
    assert [(batch.first, len(batch.rows)) for batch in batched] == [
        (0, BATCH_ROWS),
        (BATCH_ROWS, BATCH_ROWS),
        (2 * BATCH_ROWS, 3),
    ]
    assert [row for batch in batched for row in batch.rows] == rows
    assert {batch.fraction for batch in batched} == {0.25}


@pytest.mark.parametrize("skip", [BATCH_ROWS, 2 * BATCH_ROWS, 2 * BATCH_ROWS + 3])
def test_skipped_rows_change_no_batch(skip: int) -> None:
    rows = [{"text": str(index)} for index in range(2 * BATCH_ROWS + 3)]
    all_batches = list(batches(rows, lambda: 1.0, 0))
    assert list(batches(rows, lambda: 1.0, skip)) == [batch for batch in all_batches if batch.first >= skip]


def test_no_rows_are_no_batches() -> None:
    assert list(batches([], lambda: 1.0, 0)) == []


def test_a_batch_of_long_rows_is_shorter() -> None:
    rows: list[Row] = [
        {"text": "a" * (BATCH_CHARACTERS // 2)},
        {"choices": ["b" * (BATCH_CHARACTERS // 4)] * 2},
    ] * 2
    batched = list(batches(rows, lambda: 1.0, 0))
    assert [(batch.first, len(batch.rows)) for batch in batched] == [(0, 2), (2, 2)]
    assert list(batches(rows, lambda: 1.0, 2)) == batched[1:]
