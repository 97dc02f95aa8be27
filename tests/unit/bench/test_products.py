"""Shares of matrix products, on made-up times."""

import pytest

from bench.products import _seconds, share


def test_products_and_attention_are_told_apart() -> None:
    found = share({"MatMulIntegerToFloat": 6.0, "MatMul": 1.0, "MultiHeadAttention": 2.0, "Gelu": 1.0})
    assert found.products == pytest.approx(0.7)
    assert found.attention == pytest.approx(0.2)
    assert list(found.operators) == ["MatMulIntegerToFloat", "MultiHeadAttention", "MatMul", "Gelu"]


def test_what_an_if_holds_counts_once() -> None:
    def event(name: str, operator: str, microseconds: int) -> dict[str, object]:
        return {"cat": "Node", "name": name, "dur": microseconds, "args": {"op_name": operator}}

    events = [event("m", "MatMul", 80), event("m", "MatMul", 900), event("m", "MatMul", 80)]
    events += [event("i", "If", 30), event("s", "Softmax", 20)]
    found = share(_seconds(events))
    assert found.operators == pytest.approx({"MatMul": 0.8, "Softmax": 0.2})
