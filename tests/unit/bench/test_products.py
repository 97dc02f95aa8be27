"""Shares of matrix products, on made-up times."""

import pytest

from bench.products import share


def test_products_and_attention_are_told_apart() -> None:
    found = share({"MatMulIntegerToFloat": 6.0, "MatMul": 1.0, "MultiHeadAttention": 2.0, "Gelu": 1.0})
    assert found.products == pytest.approx(0.7)
    assert found.attention == pytest.approx(0.2)
    assert list(found.operators) == ["MatMulIntegerToFloat", "MultiHeadAttention", "MatMul", "Gelu"]
