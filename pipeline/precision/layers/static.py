"""QuantizeLinear and DequantizeLinear around linear layers: standard ONNX that says which numbers have 8 bits."""

from collections.abc import Mapping

import numpy as np
import onnx_ir

from pipeline.graph.builder import constant, drop_if_unused, insert
from pipeline.graph.file import Graph
from pipeline.precision.layers import tables
from pipeline.precision.layers.choose import Selection
from pipeline.precision.layers.linear import Linear, replace_with_product
from pipeline.precision.numbers.grids import Grid
from pipeline.precision.numbers.scales import ActivationRange, rounded_up_to_half
from pipeline.precision.weights import initializers


def quantize(
    graph: Graph,
    selection: Selection,
    ranges: Mapping[str, ActivationRange],
    *,
    grid: Grid,
    half_scales: bool = False,
) -> None:
    """Let each layer in `selection` read activation and weight through DequantizeLinear, in place.

    `ranges` are by the activations' names. An activation that several layers read is quantized once, before the first.
    Only layers read the dequantized value: residual sums keep the float one. Tables are stored in 8 bits. With
    `half_scales`, fp16 holds every scale exactly.
    """
    for table in selection.tables:
        tables.quantize(graph, table, grid=grid, half_scales=half_scales)
    activations: dict[onnx_ir.Value, onnx_ir.Value] = {}
    for linear in selection.linears:
        activation = linear.activation
        if activation not in activations:
            activations[activation] = _round_trip(
                graph, linear, ranges[str(activation.name)], half_scales=half_scales
            )
        _quantize(graph, linear, activations[activation], grid=grid, half_scales=half_scales)


def _round_trip(
    graph: Graph, linear: Linear, activation_range: ActivationRange, *, half_scales: bool
) -> onnx_ir.Value:
    """The activation of `linear` after QuantizeLinear and DequantizeLinear."""
    activation, module = linear.activation, linear.module
    step = rounded_up_to_half(activation_range.scale) if half_scales else np.asarray(activation_range.scale)
    parameters = [
        constant(graph, f"{module}.input_scale", step),
        constant(graph, f"{module}.input_zero_point", np.asarray(activation_range.zero_point)),
    ]
    value = activation
    for op_type, dtype in (
        ("QuantizeLinear", activation_range.dtype),
        ("DequantizeLinear", onnx_ir.DataType.FLOAT),
    ):
        value = insert(
            graph,
            linear.node,
            op_type,
            [value, *parameters],
            name=f"{module}/{op_type}",
            dtype=dtype,
            shape=activation.shape,
        )
    return value


def _quantize(
    graph: Graph, linear: Linear, activation: onnx_ir.Value, *, grid: Grid, half_scales: bool
) -> None:
    node, operand = linear.node, linear.operand
    numbers, scale = initializers.add_quantized(graph, linear, grid=grid, half_scales=half_scales)
    transpose = numbers.producer()
    if half_scales and transpose is not None:
        weight = _transposed_after_dequantizing(graph, linear, transpose, scale, grid)
    else:
        weight = initializers.dequantize(graph, node, f"{linear.module}.weight", numbers, scale, grid, axis=1)
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
        replace_with_product(graph, linear, product)
    drop_if_unused(graph, operand)


def _transposed_after_dequantizing(
    graph: Graph, linear: Linear, transpose: onnx_ir.Node, scale: onnx_ir.Value, grid: Grid
) -> onnx_ir.Value:
    """The output of `transpose`, moved behind DequantizeLinear: TensorRT dequantizes stored constants only."""
    numbers = transpose.inputs[0]
    assert numbers is not None
    weight = initializers.dequantize(
        graph, transpose, f"{linear.module}.weight", numbers, scale, grid, axis=0
    )
    transpose.replace_input_with(0, weight)
    (output,) = transpose.outputs
    output.dtype = onnx_ir.DataType.FLOAT
    return output
