"""The arrays for shapes, and the operations that they take."""

import numpy as np
import pytest
from distilforge.timing.shape import Shape

from bench.shapes import feeds
from bench.sizes import SIZES, attention_operations, linear_operations


def test_all_subjects_get_the_same_words() -> None:
    ids, mask = feeds(Shape(batch=2, tokens=16))
    np.testing.assert_array_equal(ids, feeds(Shape(batch=2, tokens=16))[0])
    assert ids.shape == mask.shape == (2, 16)
    assert mask.all()
    assert ids.max() < SIZES.vocab_size


def test_operations_of_8x128_are_those_of_the_facts() -> None:
    total = linear_operations(8 * 128) + attention_operations(8, 128)
    assert total / 1e9 == pytest.approx(89, abs=1)
