"""exact-int8-pairs: ONNX Runtime's products are exact on this machine where pairs of weights are bounded.

Two neighbouring weights of one sign then sum to at most 128, so that their products with unsigned 8-bit numbers fit the
16 bits in which kernels for x86 without VNNI add them (distilforge.machine.exact_int8). A product of the largest such
weights shows that the machine adds neighbours, and not others.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from distilforge.machine import needs
from distilforge.machine.exact_int8 import COLUMNS, INNER, deviation, extremes

PAIRS = ((127, 1), (1, 127), (64, 64), (-127, -1), (-1, -127), (-64, -64), (127, -127), (100, 28))
"""Neighbouring weights that fit, with the largest sums of one sign, and the largest of two signs."""


@needs.register("exact-int8-pairs")
@cache
def exact_int8_pairs() -> str | None:
    """Why the products are not exact, or None if they are; takes about 1 ms once onnxruntime is imported."""
    return deviation(*paired_extremes())


def paired_extremes() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Activations (rows, inner) and weights (inner, columns) with the largest pairs of products that fit."""
    activations, _ = extremes()
    weights = np.empty((INNER, COLUMNS), dtype=np.int8)
    for column in range(COLUMNS):
        # Each column has one pair throughout, so that sums grow, or all pairs, so that neighbours differ
        pairs = (PAIRS[column % len(PAIRS)],) if column < COLUMNS // 2 else PAIRS[column % 3 :: 3]
        weights[:, column] = np.resize(np.array(pairs).reshape(-1), INNER)
    return activations, weights
