"""The shapes that are timed on a GPU."""

from distilforge.timing.shape import Shape


def _every(batches: tuple[int, ...], tokens: tuple[int, ...]) -> tuple[Shape, ...]:
    return tuple(Shape(batch=batch, tokens=count) for batch in batches for count in tokens)


DOCUMENTED = _every((2, 4, 8, 16), (64, 128))
"""The shapes in the inference table of Hugging Face's documentation of DistilBERT."""

SHAPES = tuple(
    sorted(
        {*DOCUMENTED, *_every((1, 8, 32, 128), (128, 384))},
        key=lambda shape: (shape.batch * shape.tokens, shape.tokens),
    )
)
"""All shapes, the smallest first: memory that a runner keeps is then not left from a larger shape."""
