"""Batches hold every row once, are of similar rows and never larger than they may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from distilforge.manifest import Span
from distilforge.tokenizer import Tokenizer

from tests.conftest import write_tokenizer
from validation.answers.batches import SLOTS, batches, padded_batch
from validation.tasks.base import CheckpointReader, Row

SPANS = {"batch": Span(low=1, usual=8, high=16), "sequence": Span(low=4, usual=128, high=512)}
CHOICES = {"choices": Span(low=1, usual=2, high=8)}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return Tokenizer(folder)


@dataclass(frozen=True, slots=True)
class Reading:
    """A reader, and rows that it encoded."""

    reader: CheckpointReader
    rows: tuple[Row, ...]


def reading(tokenizer: Tokenizer, lengths: Sequence[int], choices: Sequence[int] = ()) -> Reading:
    """Rows of so many words; with `choices`, each row has so many texts."""
    spans = SPANS | (CHOICES if choices else {})
    counts = choices or [1] * len(lengths)
    rows = tuple(
        Row(example=index, encodings=tuple(tokenizer.encode(["cat " * length] * count)))
        for index, (length, count) in enumerate(zip(lengths, counts, strict=True))
    )
    return Reading(CheckpointReader(tokenizer=tokenizer, spans=spans), rows)


def test_every_row_is_in_one_batch_with_its_own_tokens(tokenizer: Tokenizer) -> None:
    random = np.random.default_rng(0)
    read = reading(tokenizer, [int(length) for length in random.integers(1, 60, 70)])
    cut = list(batches(read.rows, read.reader))
    assert sorted(position for batch in cut for position in batch.positions) == list(range(70))
    for batch in cut:
        assert len(batch.positions) <= SPANS["batch"].high
        for index, position in enumerate(batch.positions):
            ids = read.rows[position].encodings[0].ids
            mask = batch.feeds["attention_mask"][index]
            assert batch.feeds["input_ids"][index, : len(ids)].tolist() == ids
            assert mask.tolist() == [1] * len(ids) + [0] * (len(mask) - len(ids))


def test_batches_are_small_unless_one_row_alone_is_large(tokenizer: Tokenizer) -> None:
    read = reading(tokenizer, [3] * 40 + [50] * 20 + [600])
    sizes = [batch.feeds["input_ids"].shape for batch in batches(read.rows, read.reader)]
    assert sizes[-1] == (1, 602)
    assert all(rows * tokens <= SLOTS for rows, tokens in sizes[:-1])
    assert max(rows for rows, _ in sizes) == SPANS["batch"].high


def test_rows_with_different_numbers_of_choices_share_no_batch(tokenizer: Tokenizer) -> None:
    read = reading(tokenizer, [5, 5, 5, 5, 5], [2, 3, 2, 3, 4])
    shapes = {batch.positions: batch.feeds["input_ids"].shape for batch in batches(read.rows, read.reader)}
    assert shapes == {(0, 2): (2, 2, 7), (1, 3): (2, 3, 7), (4,): (1, 4, 7)}


def test_a_batch_is_padded_to_its_longest_row_the_span_and_what_is_asked(tokenizer: Tokenizer) -> None:
    read = reading(tokenizer, [1, 9])
    assert padded_batch([0], read.rows, read.reader).feeds["input_ids"].shape == (1, SPANS["sequence"].low)
    assert padded_batch([0, 1], read.rows, read.reader).feeds["input_ids"].shape == (2, 11)
    longer = padded_batch([1, 0, 1], read.rows, read.reader, tokens=20)
    assert longer.positions == (1, 0, 1)
    assert longer.feeds["attention_mask"].sum(axis=1).tolist() == [11, 3, 11]
    pad = read.reader.tokenizer.special_id("pad")
    assert (longer.feeds["input_ids"][longer.feeds["attention_mask"] == 0] == pad).all()


def test_a_reader_takes_what_both_the_spans_and_the_tokenizer_allow(tokenizer: Tokenizer) -> None:
    def longest(high: int) -> int:
        spans = SPANS | {"sequence": Span(low=1, usual=8, high=high)}
        return CheckpointReader(tokenizer=tokenizer, spans=spans).longest

    assert tokenizer.max_tokens == 64
    assert (longest(512), longest(40)) == (64, 40)
