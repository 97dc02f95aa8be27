"""The module in a node's name, and names that are unique."""

import pytest

from pipeline.graph.names import module_of, unique_name


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("transformer.layer.0.ffn.lin1/MatMul_1", "transformer.layer.0.ffn.lin1"),
        ("/distilbert/layer.0/Softmax", "distilbert.layer.0"),
        ("node_12", "node_12"),
    ],
)
def test_the_module_in_a_name(name: str, module: str) -> None:
    assert module_of(name) == module


def test_a_name_gets_the_first_number_that_is_free() -> None:
    assert unique_name("a/MatMul", set()) == "a/MatMul"
    assert unique_name("a/MatMul", {"a/MatMul", "a/MatMul_1", "a/MatMul_3"}) == "a/MatMul_2"
