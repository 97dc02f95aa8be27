"""Optimization profiles: the sizes that an engine accepts, from the recipe's spans and buckets of token counts."""

from collections.abc import Mapping, Sequence

from distilforge.manifest import Span

from pipeline.errors import UsageError

TOKENS = "sequence"


def profiles(spans: Mapping[str, Span], buckets: Sequence[int]) -> tuple[Mapping[str, Span], ...]:
    """The spans of all axes, one mapping per profile.

    There is a profile for each of `buckets`, which are the highest token counts of the profiles, and one for the
    longer texts. A profile's usual size is the recipe's if it lies in the profile, and otherwise the highest, to which
    short texts are padded. Raises UsageError for a bucket outside the span of the tokens.
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
