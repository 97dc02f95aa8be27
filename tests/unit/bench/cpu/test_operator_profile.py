"""The shares of operators, on made-up times."""

import pytest

from bench.cpu.operator_profile import operator_seconds, shares


def test_products_and_attention_have_a_share_each() -> None:
    profile = shares({"MatMulIntegerToFloat": 6.0, "MatMul": 1.0, "MultiHeadAttention": 2.0, "Gelu": 1.0})
    assert profile.products == pytest.approx(0.7)
    assert profile.attention == pytest.approx(0.2)
    assert list(profile.operators) == ["MatMulIntegerToFloat", "MultiHeadAttention", "MatMul", "Gelu"]


def test_the_nodes_inside_an_if_count_once() -> None:
    def event(name: str, operator: str, microseconds: int) -> dict[str, object]:
        return {"cat": "Node", "name": name, "dur": microseconds, "args": {"op_name": operator}}

    events = [event("m", "MatMul", 80), event("m", "MatMul", 900), event("m", "MatMul", 80)]
    events += [event("i", "If", 30), event("s", "Softmax", 20)]
    assert shares(operator_seconds(events)).operators == pytest.approx({"MatMul": 0.8, "Softmax": 0.2})
