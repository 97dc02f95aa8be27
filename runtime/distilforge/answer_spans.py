"""From start and end logits to scored spans of tokens; the arithmetic is transformers' `select_starts_ends`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilforge.probabilities import Floats, softmax

_EXCLUDED = np.float32(-10000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """First and last token of a candidate and the product of their probabilities."""

    first: int
    last: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The spans of one window, best first, and the probability that it holds no answer."""

    spans: tuple[TokenSpan, ...]
    null_score: float


def candidates(
    start_logits: Floats,
    end_logits: Floats,
    allowed: NDArray[np.bool_],
    *,
    top_k: int,
    max_answer_tokens: int,
) -> Candidates:
    """The `top_k` spans of at most `max_answer_tokens` whose ends are `allowed` (a flag per token).

    Token 0 ([CLS]) stands for "no answer": it counts in the probabilities and is never part of a span.
    """
    start = softmax(np.where(allowed, start_logits, _EXCLUDED))
    end = softmax(np.where(allowed, end_logits, _EXCLUDED))
    null_score = float(start[0] * end[0])
    start[0] = end[0] = 0.0
    scores = np.tril(np.triu(np.outer(start, end)), max_answer_tokens - 1)
    flat = scores.ravel()
    if top_k == 1:
        order = np.array([flat.argmax()])
    elif len(flat) <= top_k:
        order = np.argsort(-flat)
    else:
        best = np.argpartition(-flat, top_k)[:top_k]
        order = best[np.argsort(-flat[best])]
    firsts, lasts = np.unravel_index(order, scores.shape)
    spans = tuple(
        TokenSpan(first=int(first), last=int(last), score=float(scores[first, last]))
        for first, last in zip(firsts, lasts, strict=True)
        if allowed[first] and allowed[last]
    )
    return Candidates(spans=spans, null_score=null_score)
