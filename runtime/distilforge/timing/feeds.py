"""Inputs to time with: random token ids of one shape, nothing masked, since padding is wasted work."""

import numpy as np
import numpy.typing as npt

from distilforge.timing.shape import Shape

SEED = 3
Ids = npt.NDArray[np.int64]


def random_feeds(shape: Shape, *, vocabulary: int, choices: int | None) -> dict[str, Ids]:
    """input_ids and attention_mask, (batch, tokens), or (batch, choices, tokens) where there are `choices`.

    Ids lie below `vocabulary`. The same shape gives the same ids in every process.
    """
    size = (shape.batch, shape.tokens) if choices is None else (shape.batch, choices, shape.tokens)
    ids = np.random.default_rng(SEED).integers(0, vocabulary, size=size, dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}
