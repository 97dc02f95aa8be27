"""The shapes that are timed on a CPU, and the inputs that every subject answers."""

import numpy as np
from distilforge.timing.feeds import Ids
from distilforge.timing.shape import Shape

from bench.models.sizes import CONFIG

SEED = 3
# The ids below this one are those of special tokens
FIRST_WORD_ID = 5

SHAPES = tuple(Shape.parse(text) for text in ("1x16", "1x64", "1x128", "8x128", "1x384", "4x384"))


def feeds(shape: Shape, seed: int = SEED) -> tuple[Ids, Ids]:
    """input_ids and attention_mask, (batch, tokens): random words without padding, which would be wasted work."""
    random = np.random.default_rng(seed)
    ids = random.integers(FIRST_WORD_ID, CONFIG.vocab_size, (shape.batch, shape.tokens), dtype=np.int64)
    return ids, np.ones_like(ids)
