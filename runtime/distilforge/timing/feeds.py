"""Inputs for timing: random token ids of one shape, without padding, because padding is wasted work."""

import numpy as np
import numpy.typing as npt

from distilforge.timing.shape import Shape

SEED = 3
Ids = npt.NDArray[np.int64]
"""Token ids or a mask, (batch, tokens), or (batch, choices, tokens) for multiple choice."""


def random_feeds(shape: Shape, *, vocabulary: int, choices: int | None) -> dict[str, Ids]:
    """Random `input_ids` below `vocabulary`, and an `attention_mask` of ones.

    Both have shape (batch, tokens), or (batch, choices, tokens) if `choices` is not None. The same arguments give the
    same arrays in every process.
    """
    size = (shape.batch, shape.tokens) if choices is None else (shape.batch, choices, shape.tokens)
    ids = np.random.default_rng(SEED).integers(0, vocabulary, size=size, dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}
