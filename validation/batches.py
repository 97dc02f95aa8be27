"""Rows in batches: the arrays that eager PyTorch and every variant are fed, exactly the same for all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from distilforge.batching import pad
from distilforge.manifest import Span

from validation.tasks.base import Floats, Row, Served

Feeds = Mapping[str, npt.NDArray[np.int64]]
Bools = npt.NDArray[np.bool_]
Run = Callable[[Feeds], Mapping[str, Floats]]
EagerRun = Callable[[Feeds, Bools | None], Mapping[str, Floats]]

# Token slots a batch: enough for matrix products to run at full speed, few enough for attention to stay in the
# caches and for logits over a vocabulary.
SLOTS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Positions of its rows in the list they came from, and the arrays to feed."""

    positions: tuple[int, ...]
    feeds: Feeds


def batches(rows: Sequence[Row], served: Served) -> Iterator[Batch]:
    """All rows, each once, in batches of similar length and of as many choices."""
    order = sorted(
        range(len(rows)), key=lambda position: (len(rows[position].encodings), rows[position].tokens)
    )
    for positions in _grouped(order, rows, served.manifest.spans["batch"]):
        yield together(positions, rows, served)


def together(positions: Sequence[int], rows: Sequence[Row], served: Served, *, tokens: int = 0) -> Batch:
    """The rows at `positions` in one batch, padded to the longest, or to `tokens` where that is more."""
    spans = served.manifest.spans
    encodings = [encoding for position in positions for encoding in rows[position].encodings]
    arrays = pad(
        encodings,
        pad_id=served.tokenizer.special_id("pad"),
        at_least=max(spans["sequence"].low, tokens),
    )
    shape = (len(positions), -1) if "choices" in spans else (len(positions),)
    return Batch(
        positions=tuple(positions),
        feeds={
            name: array.astype(np.int64).reshape(*shape, array.shape[-1]) for name, array in arrays.items()
        },
    )


def _grouped(order: Sequence[int], rows: Sequence[Row], span: Span) -> Iterator[tuple[int, ...]]:
    group: list[int] = []
    for position in order:
        row = rows[position]
        slots = (len(group) + 1) * len(row.encodings) * row.tokens
        same = not group or len(rows[group[0]].encodings) == len(row.encodings)
        if group and (len(group) == span.high or slots > SLOTS or not same):
            yield tuple(group)
            group = []
        group.append(position)
    if group:
        yield tuple(group)
