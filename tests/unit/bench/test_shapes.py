"""Shapes and the arrays for them."""

import numpy as np
import pytest

from bench.shapes import Shape, feeds
from bench.sizes import SIZES, attention_operations, linear_operations


def test_a_shape_reads_what_it_writes() -> None:
    assert Shape.parse(str(Shape(batch=8, tokens=128))) == Shape(batch=8, tokens=128)


@pytest.mark.parametrize("text", ["8", "x128", "8x", "0x16", "8x12x8", "axb"])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no shape"):
        Shape.parse(text)


def test_all_subjects_get_the_same_words() -> None:
    ids, mask = feeds(Shape(batch=2, tokens=16))
    np.testing.assert_array_equal(ids, feeds(Shape(batch=2, tokens=16))[0])
    assert ids.shape == mask.shape == (2, 16)
    assert mask.all()
    assert ids.max() < SIZES.vocab_size


def test_operations_of_8x128_are_those_of_the_facts() -> None:
    total = linear_operations(8 * 128) + attention_operations(8, 128)
    assert total / 1e9 == pytest.approx(89, abs=1)
