"""Which texts share a batch, and padding them to one length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from distilforge.feeds import Array
from distilforge.manifest import Span
from distilforge.tokenizer import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Positions of its rows in the list they came from, and the arrays to feed."""

    rows: tuple[int, ...]
    feeds: dict[str, Array]


def batches(lengths: Sequence[int], batch: Span, sequence: Span) -> Iterator[tuple[int, ...]]:
    """Positions of `lengths`, each once, in batches of similar length.

    A batch holds about as many token slots as the usual batch of the usual length, so that many short texts go
    together and long ones do not exhaust the memory.
    """
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    slots = batch.usual * sequence.usual
    rows: list[int] = []
    for row in order:
        if rows and (len(rows) == batch.high or (len(rows) + 1) * lengths[row] > slots):
            yield tuple(rows)
            rows = []
        rows.append(row)
    if rows:
        yield tuple(rows)


def pad(encodings: Sequence[Encoding], *, pad_id: int, at_least: int) -> dict[str, Array]:
    """input_ids and attention_mask (int64; row, token) as long as the longest encoding, or `at_least`."""
    ids = [encoding.ids for encoding in encodings]
    length = max([at_least, *map(len, ids)])
    input_ids = np.full((len(ids), length), pad_id, dtype=np.int64)
    attention_mask = np.zeros((len(ids), length), dtype=np.int64)
    for row, row_ids in enumerate(ids):
        input_ids[row, : len(row_ids)] = row_ids
        attention_mask[row, : len(row_ids)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
