"""Q/DQ around linear layers: standard ONNX that says in the graph which numbers are 8 bits wide."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir

from pipeline.graph import Graph
from pipeline.nodes import constant, drop_if_unused, insert
from pipeline.quantize.parts.linear import Linear
from pipeline.quantize.parts.ranges import Range
from pipeline.quantize.parts.stored import add_bias, store, zeros


def quantize(graph: Graph, linears: Sequence[Linear], ranges: Mapping[str, Range], *, bits: int) -> None:
    """Let each of `linears` read its activation and its weight through DequantizeLinear, in place.

    An activation that several layers read is quantized once, ahead of the first. `ranges` are by the activations'
    names. Only the layers read what DequantizeLinear gives: residual sums keep the float value.
    """
    activations: dict[onnx_ir.Value, onnx_ir.Value] = {}
    for linear in linears:
        activation = linear.activation
        if activation not in activations:
            activations[activation] = _round_trip(graph, linear, ranges[str(activation.name)])
        _quantize(graph, linear, activations[activation], bits)


def _round_trip(graph: Graph, linear: Linear, found: Range) -> onnx_ir.Value:
    """The activation of `linear` after QuantizeLinear and DequantizeLinear."""
    activation, module = linear.activation, linear.module
    scale = constant(graph, f"{module}.input_scale", np.asarray(found.scale, dtype=np.float32))
    zero_point = constant(graph, f"{module}.input_zero_point", np.asarray(found.zero_point, dtype=np.uint8))
    quantized = insert(
        graph,
        linear.node,
        "QuantizeLinear",
        [activation, scale, zero_point],
        name=f"{module}/QuantizeLinear",
        dtype=onnx_ir.DataType.UINT8,
        shape=activation.shape,
    )
    return insert(
        graph,
        linear.node,
        "DequantizeLinear",
        [quantized, scale, zero_point],
        name=f"{module}/DequantizeLinear",
        dtype=onnx_ir.DataType.FLOAT,
        shape=activation.shape,
    )


def _quantize(graph: Graph, linear: Linear, activation: onnx_ir.Value, bits: int) -> None:
    node, read = linear.node, linear.node.inputs[1]
    numbers, scale = store(graph, linear, bits=bits)
    weight = insert(
        graph,
        node,
        "DequantizeLinear",
        [numbers, scale, zeros(graph, scale)],
        name=f"{linear.module}.weight/DequantizeLinear",
        dtype=onnx_ir.DataType.FLOAT,
        shape=numbers.shape,
        attributes={"axis": 1},
    )
    if node.op_type == "MatMul":
        node.replace_input_with(0, activation)
        node.replace_input_with(1, weight)
    else:
        product = insert(
            graph,
            node,
            "MatMul",
            [activation, weight],
            name=f"{linear.module}/MatMul",
            dtype=onnx_ir.DataType.FLOAT,
            shape=node.outputs[0].shape,
        )
        add_bias(graph, linear, product)
    assert read is not None
    drop_if_unused(graph, read)
