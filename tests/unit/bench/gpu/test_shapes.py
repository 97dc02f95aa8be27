"""The shapes that are timed on a GPU."""

from distilforge.timing.shape import Shape

from bench.gpu.shapes import DOCUMENTED, SHAPES


def test_the_shapes_are_those_of_the_documentation_and_larger_ones() -> None:
    assert {(shape.batch, shape.tokens) for shape in DOCUMENTED} == {
        (batch, tokens) for batch in (2, 4, 8, 16) for tokens in (64, 128)
    }
    others = {Shape(batch=batch, tokens=tokens) for batch in (1, 8, 32, 128) for tokens in (128, 384)}
    assert set(SHAPES) == {*DOCUMENTED, *others}


def test_memory_is_measured_from_the_smallest_shape_on() -> None:
    sizes = [shape.batch * shape.tokens for shape in SHAPES]
    assert sizes == sorted(sizes)
