"""The spans of the dynamic axes: those in the recipe, and defaults for the others."""

from collections.abc import Mapping, Sequence

from distilforge.manifest import Span

from pipeline.errors import UsageError

USUAL_TOKENS = 128
ALWAYS = ("batch", "sequence")
"""The axes that every head has."""

# The exporter treats sizes symbolically, so that a size of 1 runs: tests/integration/pipeline/test_export.py
_DEFAULTS = {"batch": Span(low=1, usual=8, high=32), "choices": Span(low=1, usual=4, high=8)}


def complete(given: Mapping[str, Span], axes: Sequence[str], max_position_embeddings: int) -> dict[str, Span]:
    """A span for each of `axes`: the given one, or else the default.

    Raises UsageError for a span of another axis, and for more tokens than there are position embeddings.
    """
    for axis in given:
        if axis not in axes:
            raise UsageError(f"a span is given for {axis!r}; the head's axes are {', '.join(axes)}")
    longest = Span(low=1, usual=min(USUAL_TOKENS, max_position_embeddings), high=max_position_embeddings)
    spans = {axis: given.get(axis, _DEFAULTS.get(axis, longest)) for axis in axes}
    if spans["sequence"].high > max_position_embeddings:
        raise UsageError(
            f"the recipe's sequence span goes to {spans['sequence'].high} tokens; "
            f"the checkpoint has {max_position_embeddings} position embeddings",
            hint=f"sequence = [1, {longest.usual}, {max_position_embeddings}]",
        )
    return spans
