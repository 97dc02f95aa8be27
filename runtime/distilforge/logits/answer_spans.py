"""Start and end logits to scored spans of tokens, with the arithmetic of transformers' `select_starts_ends`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilforge.logits.probabilities import Floats, softmax

# transformers' value for tokens that cannot start or end an answer
_EXCLUDED = np.float32(-10000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """A candidate answer within one window."""

    first: int
    """Index of its first token in the window."""
    last: int
    """Index of its last token, which belongs to the span."""
    score: float
    """The probability that it starts at `first`, times the probability that it ends at `last`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCandidates:
    """The candidate answers of one window of a context."""

    spans: tuple[TokenSpan, ...]
    """The spans, best first."""
    null_score: float
    """The probability that the window holds no answer."""


def window_candidates(
    start_logits: Floats,
    end_logits: Floats,
    allowed: NDArray[np.bool_],
    *,
    top_k: int,
    max_answer_tokens: int,
) -> WindowCandidates:
    """The best `top_k` spans of at most `max_answer_tokens` tokens in one window.

    `start_logits`, `end_logits` and `allowed` have shape (tokens,). A span starts and ends at tokens that are
    `allowed`. Token 0, [CLS], stands for "no answer": it counts in the probabilities and is never part of a span.
    """
    start = softmax(np.where(allowed, start_logits, _EXCLUDED))
    end = softmax(np.where(allowed, end_logits, _EXCLUDED))
    null_score = float(start[0] * end[0])
    start[0] = end[0] = 0.0
    # (first, last), zero where the span would end before it starts or be too long
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
    return WindowCandidates(spans=spans, null_score=null_score)
