"""The spans of the dynamic axes: those in the recipe, and defaults for the others."""

from collections.abc import Mapping, Sequence

from distilforge.limits import MOST_SIZE
from distilforge.manifest import Span

from pipeline.errors import UsageError
from pipeline.registry import suggestion

USUAL_TOKENS = 128
ALWAYS = ("batch", "sequence")
"""The axes that every head has."""

# The exporter treats sizes symbolically, so that a size of 1 runs: tests/integration/pipeline/test_export.py
_DEFAULTS = {"batch": Span(low=1, usual=8, high=32), "choices": Span(low=1, usual=4, high=8)}


def complete(given: Mapping[str, Span], axes: Sequence[str], longest: int) -> dict[str, Span]:
    """A span for each of `axes`: the given one, or else the default.

    `longest` is the most tokens of a text of the checkpoint. Raises UsageError for a span of another axis, of more
    tokens than that, or beyond the limit of a release.
    """
    for axis in given:
        if axis not in axes:
            raise UsageError(
                f"a span is given for {axis!r}; the head's axes are {', '.join(axes)}",
                hint=suggestion(axis, axes) or "leave it out",
            )
    tokens = Span(low=1, usual=min(USUAL_TOKENS, longest), high=longest)
    spans = {axis: given.get(axis, _DEFAULTS.get(axis, tokens)) for axis in axes}
    if spans["sequence"].high > longest:
        raise UsageError(
            f"the recipe's sequence span goes to {spans['sequence'].high} tokens; "
            f"the checkpoint reads at most {longest} (max_position_embeddings, or max_seq_length)",
            hint=f"sequence = [1, {tokens.usual}, {longest}]",
        )
    for axis, span in spans.items():
        if span.high > MOST_SIZE:
            raise UsageError(
                f"the span of {axis!r} goes to {span.high:,}; at most {MOST_SIZE:,} is allowed",
                hint="give the largest size that will be used",
            )
    return spans
