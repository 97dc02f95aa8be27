"""Finding linear layers, whatever operator and orientation they are written in."""

import numpy as np
import onnx_ir
import pytest

from model_src import heads
from pipeline.errors import StageError
from pipeline.precision.layers import linear, tables
from tests.graphs import exported
from tests.unit.pipeline.precision.quantized import HEAD, TIED, array, linears, node_named


@pytest.mark.parametrize("head", heads.names())
def test_every_linear_layer_and_table_of_every_head(head: str) -> None:
    graph = exported(head)
    layers = linear.find(graph)
    assert len(layers) == len({layer.module for layer in layers}) == linears(head)
    words, positions = tables.find(graph)
    assert {layer.module for layer in layers if layer.tied} == ({"vocab_projector"} if words.tied else set())
    assert words.tied == (head == TIED)
    assert not positions.tied


def test_weights_are_in_by_out_however_they_are_stored() -> None:
    for head in (HEAD, TIED):
        for layer in linear.find(exported(head)):
            weight = array(exported(head), str(layer.initializer.name))
            np.testing.assert_array_equal(layer.weight, weight.T if layer.transposed else weight)
            assert layer.node.outputs[0].shape is not None
            assert layer.node.outputs[0].shape[-1] == layer.weight.shape[1]


@pytest.mark.parametrize(("name", "value"), [("alpha", 0.5), ("beta", 2.0), ("transA", 1)])
def test_a_gemm_that_does_more_is_an_error_that_says_what(name: str, value: float) -> None:
    graph = exported()
    gemm = node_named(graph, "classifier/Gemm")
    gemm.attributes[name] = (
        onnx_ir.AttrInt64(name, value) if name == "transA" else onnx_ir.AttrFloat32(name, value)
    )
    with pytest.raises(
        StageError, match=rf"classifier/Gemm is a Gemm with .*'{name}': {value}.*\n.*MatMul and Add"
    ):
        linear.find(graph)
