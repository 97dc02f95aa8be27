"""The output of attention that is quantized before it is transposed: the same numbers, and what is left alone."""

import numpy as np
import onnx_ir
import pytest

from model_src import heads
from pipeline.graph.file import check
from pipeline.graph.values import array_of, is_operator, producer
from pipeline.passes import registry
from tests.graphs import LAYERS, answer, operators, ragged
from tests.unit.pipeline.passes.checks import run, shapes
from tests.unit.pipeline.precision import quantized

NAME = "quantize_first"


@pytest.mark.parametrize("head", heads.names())
def test_the_output_of_attention_is_quantized_first_with_the_same_answers(head: str) -> None:
    graph = quantized.quantized_graph(head)
    before = graph.clone()
    assert run(graph, NAME) == [LAYERS]
    check(graph)
    assert operators(graph) == operators(before)
    first = [
        node
        for node in graph.graph
        if is_operator(node, "QuantizeLinear")
        and (product := producer(node, 0)) is not None
        and is_operator(product, "MatMul")
    ]
    assert len(first) == LAYERS
    for inputs in map(ragged, shapes(head)):
        for given, expected in zip(
            answer(graph, inputs, optimized=False), answer(before, inputs, optimized=False), strict=True
        ):
            np.testing.assert_array_equal(given, expected)
    assert run(graph, NAME) == [0]


def test_scales_for_each_channel_are_refused() -> None:
    graph = quantized.quantized_graph("token_classification")
    scale = next(value for name, value in graph.graph.initializers.items() if "out_lin.input_scale" in name)
    array = array_of(scale)
    assert array is not None
    scale.const_value = onnx_ir.tensor(np.repeat(array, 32), name=scale.name)
    scale.shape = onnx_ir.Shape([32])
    result = registry.find(NAME).run(graph)
    assert result.rewrites == LAYERS - 1
    assert sum("it has more than one scale" in refusal for refusal in result.refusals) == 1
