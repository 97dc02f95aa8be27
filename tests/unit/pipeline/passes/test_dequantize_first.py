"""A tied weight that is dequantized as it is stored: the same numbers, one copy of it, and what is left alone."""

import numpy as np
import onnx_ir
import pytest

from pipeline.graph.file import Graph, check
from pipeline.graph.values import is_operator, producer
from tests.graphs import answer, operators, ragged, unmasked
from tests.unit.pipeline.passes.checks import run
from tests.unit.pipeline.precision import quantized

NAME = "dequantize_first"
SHAPE = (3, 21)


def logits_weight(graph: Graph) -> onnx_ir.Node:
    """The node that computes the weight of the last product."""
    add = graph.graph.outputs[0].producer()
    assert add is not None
    product = next(
        node for index in (0, 1) if (node := producer(add, index)) is not None and is_operator(node, "MatMul")
    )
    weight = producer(product, 1)
    assert weight is not None
    return weight


def test_the_weight_is_dequantized_as_it_is_stored_with_the_same_answers() -> None:
    graph = quantized.quantized_graph(quantized.TIED)
    before = graph.clone()
    sizes = sum(value.const_value.nbytes for value in graph.graph.initializers.values() if value.const_value)
    assert is_operator(logits_weight(graph), "DequantizeLinear")
    assert run(graph, NAME) == [1]
    check(graph)
    transpose = logits_weight(graph)
    assert is_operator(transpose, "Transpose")
    dequantize = producer(transpose, 0)
    assert dequantize is not None
    assert is_operator(dequantize, "DequantizeLinear")
    assert dequantize.attributes.get_int("axis", 1) == 0
    assert dequantize.inputs[0] is not None
    assert dequantize.inputs[0].is_initializer()
    # The embeddings still read the same copy
    assert any(is_operator(use.node, "Gather") for use in dequantize.inputs[0].uses())
    assert sizes == sum(
        value.const_value.nbytes for value in graph.graph.initializers.values() if value.const_value
    )
    for inputs in (ragged(SHAPE), unmasked(SHAPE)):
        for given, expected in zip(
            answer(graph, inputs, optimized=False), answer(before, inputs, optimized=False), strict=True
        ):
            np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("head", ["token_classification", "sequence_classification"])
def test_weights_of_their_own_are_left_alone(head: str) -> None:
    graph = quantized.quantized_graph(head)
    before = operators(graph)
    assert run(graph, NAME) == [0]
    assert operators(graph) == before
