"""Long texts, made of the evaluation's, which may all be short."""

from collections.abc import Iterator, Sequence

import numpy as np

from validation.answers.accuracy import SEED, Evaluation
from validation.answers.batches import Feeds

TEXTS = 8
"""At least so many: a head with one answer a text gives few numbers for each, and one alone may be right by chance."""
SLOTS = 1024
"""Token slots in a batch, where a batch may be so small."""


def batches(evaluated: Evaluation) -> Iterator[Feeds]:
    """Batches of TEXTS or more, from more than half of the longest text to the longest, with padding behind the others.

    A text is evaluation texts joined one after another, in a random order that is always the same. Random tokens are no
    substitute: over so many of them a sound INT8 graph drifts by more than its limit, and over joined texts it does
    not. Nothing is given where the model reads no token in any text.
    """
    reader, random = evaluated.reader, np.random.default_rng(SEED)
    encodings = [encoding for row in evaluated.rows for encoding in row.encodings]
    bodies = [
        body
        for encoding in encodings
        if (
            body := [
                token for token, special in _marked(encoding.ids, encoding.special_tokens_mask) if not special
            ]
        )
    ]
    if not bodies:
        return
    start, end = _ends(encodings[0].ids, encodings[0].special_tokens_mask)
    batch, choices = reader.spans["batch"], reader.spans.get("choices")
    # At least two questions, so that not all of the texts are choices of one
    together = 1 if choices is None else max(choices.low, min(choices.usual, TEXTS // 2))
    rows = max(batch.low, min(batch.high, SLOTS // (together * reader.longest)))
    count = -(-TEXTS // (rows * together))
    shortest = max(reader.spans["sequence"].low, reader.longest // 2 + 1)
    lengths = np.linspace(reader.longest, shortest, count * rows * together).round().astype(int)
    for first in range(count):
        texts = [
            [*start, *_joined(bodies, length - len(start) - len(end), random), *end]
            for length in lengths[first::count].tolist()
        ]
        shape = (rows,) if choices is None else (rows, together)
        yield _padded(texts, shape, reader.tokenizer.special_id("pad"))


def _marked(ids: Sequence[int], special: Sequence[int]) -> Iterator[tuple[int, bool]]:
    """Each token with whether the tokenizer added it to the text."""
    return zip(ids, map(bool, special), strict=True)


def _ends(ids: list[int], special: list[int]) -> tuple[list[int], list[int]]:
    """The tokens that the tokenizer adds before and behind every text."""
    before = special.index(0) if 0 in special else 0
    behind = special[::-1].index(0) if 0 in special else 0
    return ids[:before], ids[len(ids) - behind :]


def _joined(bodies: Sequence[list[int]], tokens: int, random: np.random.Generator) -> list[int]:
    """So many tokens of randomly chosen bodies, one behind another."""
    joined: list[int] = []
    while len(joined) < tokens:
        joined += bodies[int(random.integers(len(bodies)))]
    return joined[: max(0, tokens)]


def _padded(texts: Sequence[list[int]], shape: tuple[int, ...], pad: int) -> Feeds:
    """The texts as arrays of `shape` and a token axis."""
    longest = max(map(len, texts))
    ids = [[*text, *[pad] * (longest - len(text))] for text in texts]
    mask = [[1] * len(text) + [0] * (longest - len(text)) for text in texts]
    return {
        name: np.asarray(values, dtype=np.int64).reshape(*shape, longest)
        for name, values in (("input_ids", ids), ("attention_mask", mask))
    }
