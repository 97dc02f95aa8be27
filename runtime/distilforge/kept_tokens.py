"""The tokens that a graph without padding computes, for files that ask for them as an input.

A compiler of engines wants the size of every array before a batch runs, and how many tokens of a batch are real depends
on its mask. Such a file has one more input. The engine that loads it feeds it; users and manifests do not know it.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from distilforge.engine import Array
from distilforge.manifest import Tensor

KEPT_TOKENS = "kept_tokens"
"""The name of the input: the slots of the kept tokens in the flattened batch, int64 of shape (kept tokens)."""
MASK = "attention_mask"
"""The name of the input that it is computed from."""
# A batch of one shape has at most 16 numbers of kept tokens, and few steps below 1024 slots
_STEP, _SLOTS_OF_A_STEP = 64, 1024


def without(inputs: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The inputs that users feed."""
    return tuple(tensor for tensor in inputs if tensor.name != KEPT_TOKENS)


def complete(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
    """`feeds` with the tokens that their mask keeps."""
    return {**feeds, KEPT_TOKENS: kept(feeds[MASK])}


def kept(mask: Array) -> Array:
    """The slots of the tokens that `mask`, of shape (..., tokens), keeps, in the flattened batch, in their order.

    A token is kept if its mask is not 0, if it is the first of its text, or if all of its text is masked, as in the
    pass drop_padding. Slot 0 is repeated at the end, up to a multiple of 64 slots, or of a 16th of a batch that has
    more than 1024: a CUDA graph has fixed sizes. Nobody reads the rows that are computed for it.
    """
    rows = mask.reshape(-1, mask.shape[-1]) != 0
    rows[~rows.any(axis=1)] = True
    rows[:, :1] = True
    slots = np.flatnonzero(rows).astype(np.int64, copy=False)
    step = _STEP * max(1, rows.size // _SLOTS_OF_A_STEP)
    length = min(rows.size, -(-slots.size // step) * step)
    return np.pad(slots, (0, length - slots.size))
