"""The inputs at a shape, and the operations that they take."""

import numpy as np
import pytest
from distilforge.timing.shape import Shape

from bench.models.shapes import feeds
from bench.models.sizes import CONFIG, operations


def test_all_subjects_get_the_same_words() -> None:
    ids, mask = feeds(Shape(batch=2, tokens=16))
    np.testing.assert_array_equal(ids, feeds(Shape(batch=2, tokens=16))[0])
    assert ids.shape == mask.shape == (2, 16)
    assert mask.all()
    assert ids.max() < CONFIG.vocab_size


@pytest.mark.parametrize(("text", "giga"), [("8x128", 89), ("32x128", 358)])
def test_operations_are_those_of_the_formula(text: str, giga: float) -> None:
    """24 (4 dim^2 + 2 dim hidden) and 4 tokens dim, for each token and layer; two operations a multiplication."""
    # The numbers are rounded to whole giga operations
    assert operations(Shape.parse(text)) / 1e9 == pytest.approx(giga, abs=0.7)
