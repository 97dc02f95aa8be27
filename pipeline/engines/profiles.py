"""Optimization profiles: the sizes that an engine takes, from the recipe's spans and buckets of token counts."""

from collections.abc import Mapping, Sequence

from distilforge.manifest import Span

from pipeline.errors import UsageError

TOKENS = "sequence"


def profiles(spans: Mapping[str, Span], buckets: Sequence[int]) -> tuple[Mapping[str, Span], ...]:
    """The span of every axis, a profile for each of `buckets`, which end at those token counts, and for what is left.

    A bucket's usual size is the recipe's where that lies within, and otherwise its end, which short texts are padded
    to. Raises UsageError for a bucket outside the tokens' span.
    """
    tokens = spans[TOKENS]
    for bucket in buckets:
        if not tokens.low <= bucket <= tokens.high:
            raise UsageError(
                f"the bucket {bucket} lies outside the recipe's sequence span, {tokens.low} to {tokens.high} tokens",
                hint="choose buckets within it, or widen [spans] sequence",
            )
    ends = tuple(dict.fromkeys((*buckets, tokens.high)))
    lows = (tokens.low, *(end + 1 for end in ends[:-1]))
    return tuple(
        {**spans, TOKENS: _span(low, tokens.usual, end)} for low, end in zip(lows, ends, strict=True)
    )


def _span(low: int, usual: int, high: int) -> Span:
    return Span(low=low, usual=usual if low <= usual <= high else high, high=high)
