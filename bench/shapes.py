"""The shapes that are timed, and the arrays that every subject answers at a shape."""

import numpy as np
from distilforge.timing.feeds import Ids
from distilforge.timing.shape import Shape

from bench.sizes import SIZES

SEED = 3
# Below this are the vocabulary's special tokens
FIRST_WORD = 5

SHAPES = tuple(Shape.parse(text) for text in ("1x16", "1x64", "1x128", "8x128", "1x384", "4x384"))


def feeds(shape: Shape, seed: int = SEED) -> tuple[Ids, Ids]:
    """input_ids and attention_mask of shape (batch, tokens): random words, and no padding, which is wasted work."""
    random = np.random.default_rng(seed)
    ids = random.integers(FIRST_WORD, SIZES.vocab_size, (shape.batch, shape.tokens), dtype=np.int64)
    return ids, np.ones_like(ids)
