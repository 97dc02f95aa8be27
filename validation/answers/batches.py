"""Batches of rows: the arrays that are fed to eager PyTorch and to every variant alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from distilforge.manifest import Span
from distilforge.text.batching import pad

from validation.tasks.base import Floats, Row, TextReader

Feeds = Mapping[str, npt.NDArray[np.int64]]
Bools = npt.NDArray[np.bool_]
Run = Callable[[Feeds], Mapping[str, Floats]]
"""A model: outputs by name, for input arrays by name."""
EagerRun = Callable[[Feeds, Bools | None], Mapping[str, Floats]]
"""Eager PyTorch; the second argument says for which tokens (batch, token) outputs are needed, None for all."""

SLOTS = 512
"""Token slots in a batch: enough for fast matrix products, few enough for attention to stay in the caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch of rows."""

    positions: tuple[int, ...]
    """The positions of its rows in the list that they came from."""
    feeds: Feeds
    """The input arrays, by name."""


def batches(rows: Sequence[Row], reader: TextReader) -> Iterator[Batch]:
    """Batches that hold every row once; the rows of a batch have similar lengths and the same number of choices."""
    order = sorted(
        range(len(rows)), key=lambda position: (len(rows[position].encodings), rows[position].tokens)
    )
    for positions in _groups(order, rows, reader.spans["batch"]):
        yield padded_batch(positions, rows, reader)


def padded_batch(
    positions: Sequence[int], rows: Sequence[Row], reader: TextReader, *, tokens: int = 0
) -> Batch:
    """One batch of the rows at `positions`, padded to the longest row, or to `tokens` where that is more."""
    encodings = [encoding for position in positions for encoding in rows[position].encodings]
    arrays = pad(
        encodings,
        pad_id=reader.tokenizer.special_id("pad"),
        at_least=max(reader.spans["sequence"].low, tokens),
    )
    shape = (len(positions), -1) if "choices" in reader.spans else (len(positions),)
    return Batch(
        positions=tuple(positions),
        feeds={
            name: array.astype(np.int64).reshape(*shape, array.shape[-1]) for name, array in arrays.items()
        },
    )


def _groups(order: Sequence[int], rows: Sequence[Row], span: Span) -> Iterator[tuple[int, ...]]:
    """The positions in `order`, cut where a batch is full or where the number of choices changes."""
    group: list[int] = []
    for position in order:
        row = rows[position]
        slots = (len(group) + 1) * len(row.encodings) * row.tokens
        same_choices = not group or len(rows[group[0]].encodings) == len(row.encodings)
        if group and (len(group) == span.high or slots > SLOTS or not same_choices):
            yield tuple(group)
            group = []
        group.append(position)
    if group:
        yield tuple(group)
