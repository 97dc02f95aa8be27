"""Group texts of similar length into batches, and pad each batch to one length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from distilforge.engine import Array
from distilforge.manifest import Span


class TokenIds(Protocol):
    """The part of an encoding that a batch needs."""

    @property
    def ids(self) -> list[int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that the engine answers in one run."""

    rows: tuple[int, ...]
    """For each row of the arrays, its index in the list that the rows came from."""
    feeds: dict[str, Array]
    """The arrays to feed, by input name."""


def batches(lengths: Sequence[int], batch: Span, sequence: Span) -> Iterator[tuple[int, ...]]:
    """Indices of `lengths`, each exactly once, grouped by similar length.

    `lengths` are in tokens. A group has at most `batch.high` rows. Its padded size, rows x longest row, is at most
    that of the usual batch at the usual length, unless it is a single row: many short texts go together, and long
    ones do not exhaust the memory.
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


def pad(encodings: Sequence[TokenIds], *, pad_id: int, at_least: int) -> dict[str, Array]:
    """Pad `encodings` to the longest, and to `at_least` tokens.

    Returns `input_ids` and `attention_mask`, int64 of shape (rows, tokens); the mask is 1 for a token and 0 for
    padding.
    """
    ids = [encoding.ids for encoding in encodings]
    length = max([at_least, *map(len, ids)])
    input_ids = np.full((len(ids), length), pad_id, dtype=np.int64)
    attention_mask = np.zeros((len(ids), length), dtype=np.int64)
    for row, row_ids in enumerate(ids):
        input_ids[row, : len(row_ids)] = row_ids
        attention_mask[row, : len(row_ids)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
