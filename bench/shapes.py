"""The shapes that are timed, and the arrays that every subject answers at a shape."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.sizes import SIZES

Ids = npt.NDArray[np.int64]

SEED = 3
# Below this are the vocabulary's special tokens
FIRST_WORD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Texts in a batch, and tokens of each."""

    batch: int
    tokens: int

    def __str__(self) -> str:
        return f"{self.batch}x{self.tokens}"

    @classmethod
    def parse(cls, text: str) -> "Shape":
        """The shape that `text` names, as 8x128 does; ValueError where it names none."""
        batch, separator, tokens = text.partition("x")
        if not (separator and batch.isdecimal() and tokens.isdecimal() and int(batch) and int(tokens)):
            raise ValueError(f"no shape: {text!r}; write texts x tokens, as 8x128")
        return cls(batch=int(batch), tokens=int(tokens))


SHAPES = tuple(Shape.parse(text) for text in ("1x16", "1x64", "1x128", "8x128", "1x384", "4x384"))


def feeds(shape: Shape, seed: int = SEED) -> tuple[Ids, Ids]:
    """input_ids and attention_mask of shape (batch, tokens): random words, and no padding, which is wasted work."""
    random = np.random.default_rng(seed)
    ids = random.integers(FIRST_WORD, SIZES.vocab_size, (shape.batch, shape.tokens), dtype=np.int64)
    return ids, np.ones_like(ids)
