"""Optimization profiles: the sizes that an engine accepts, from the recipe's spans and from buckets."""

from collections.abc import Mapping, Sequence
from math import prod

from distilforge.kept_tokens import KEPT_TOKENS
from distilforge.manifest import Span

from pipeline.errors import UsageError

TOKENS, TEXTS = "sequence", "batch"


def profiles(
    spans: Mapping[str, Span], buckets: Sequence[int], batches: Sequence[int] = ()
) -> tuple[Mapping[str, Span], ...]:
    """The spans of all axes, one mapping per profile, those with few texts first.

    There is a profile for each of `buckets`, which are the highest token counts of the profiles, and one for the
    longer texts; and all of them for each of `batches`, which are the highest numbers of texts, and for more texts. A
    profile's usual size is the recipe's if it lies in the profile, and otherwise the highest, to which short texts are
    padded. Raises UsageError for a bucket or a batch outside the span of its axis.
    """
    return tuple(
        {**spans, TEXTS: texts, TOKENS: tokens}
        for texts in _parts(spans[TEXTS], batches, "batch", "batch", "texts")
        for tokens in _parts(spans[TOKENS], buckets, "bucket", "sequence", "tokens")
    )


def inside(span: Span, ends: Sequence[int]) -> tuple[int, ...]:
    """Those of `ends` that lie in `span`."""
    return tuple(end for end in ends if span.low <= end <= span.high)


def with_kept_tokens(profile: Mapping[str, Span]) -> Mapping[str, Span]:
    """`profile` with the axis of the kept tokens (distilforge.kept_tokens): one, up to all that its batches hold."""
    usual, high = prod(span.usual for span in profile.values()), prod(span.high for span in profile.values())
    return {**profile, KEPT_TOKENS: Span(low=1, usual=usual, high=high)}


def _parts(span: Span, ends: Sequence[int], name: str, axis: str, unit: str) -> tuple[Span, ...]:
    """`span` in parts that end at `ends`, and the rest."""
    for end in ends:
        if not span.low <= end <= span.high:
            raise UsageError(
                f"the {name} {end} lies outside the recipe's {axis} span, {span.low} to {span.high} {unit}",
                hint=f"choose one within it, or widen [spans] {axis}",
            )
    highs = tuple(dict.fromkeys((*ends, span.high)))
    lows = (span.low, *(high + 1 for high in highs[:-1]))
    return tuple(_span(low, span.usual, high) for low, high in zip(lows, highs, strict=True))


def _span(low: int, usual: int, high: int) -> Span:
    return Span(low=low, usual=usual if low <= usual <= high else high, high=high)
