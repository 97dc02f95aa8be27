"""Shapes as they are written."""

import pytest
from distilforge.timing.shape import Shape


def test_a_shape_reads_what_it_writes() -> None:
    assert Shape.parse(str(Shape(batch=8, tokens=128))) == Shape(batch=8, tokens=128)


@pytest.mark.parametrize("text", ["8", "x128", "8x", "0x16", "1x0", "-1x16", "8x12x8", "axb", ""])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"found '{text}'"):
        Shape.parse(text)
