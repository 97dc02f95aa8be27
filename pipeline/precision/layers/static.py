"""Q/DQ around linear layers: standard ONNX that says in the graph which numbers are 8 bits wide."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.builder import constant, drop_if_unused, insert
from pipeline.graph.file import Graph
from pipeline.precision.layers.linear import Linear
from pipeline.precision.ranges.grids import Grid
from pipeline.precision.ranges.scales import in_half
from pipeline.precision.weights.stored import add_bias, dequantized, store


class Scaled(Protocol):
    """How an activation becomes 8-bit numbers: real value = scale x (number - zero point)."""

    @property
    def scale(self) -> np.float32: ...

    @property
    def zero_point(self) -> np.generic | npt.NDArray[np.generic]: ...

    @property
    def dtype(self) -> onnx_ir.DataType: ...


def quantize(
    graph: Graph,
    linears: Sequence[Linear],
    ranges: Mapping[str, Scaled],
    *,
    grid: Grid,
    half: bool = False,
) -> None:
    """Let each of `linears` read its activation and its weight through DequantizeLinear, in place.

    An activation that several layers read is quantized once, ahead of the first. `ranges` are by the activations'
    names. Only the layers read what DequantizeLinear gives: residual sums keep the float value. With `half`, scales are
    such as fp16 holds.
    """
    activations: dict[onnx_ir.Value, onnx_ir.Value] = {}
    for linear in linears:
        activation = linear.activation
        if activation not in activations:
            activations[activation] = _round_trip(graph, linear, ranges[str(activation.name)], half)
        _quantize(graph, linear, activations[activation], grid, half)


def _round_trip(graph: Graph, linear: Linear, found: Scaled, half: bool) -> onnx_ir.Value:
    """The activation of `linear` after QuantizeLinear and DequantizeLinear."""
    activation, module = linear.activation, linear.module
    step = in_half(found.scale) if half else np.asarray(found.scale)
    scale = constant(graph, f"{module}.input_scale", step)
    zero_point = constant(graph, f"{module}.input_zero_point", np.asarray(found.zero_point))
    quantized = insert(
        graph,
        linear.node,
        "QuantizeLinear",
        [activation, scale, zero_point],
        name=f"{module}/QuantizeLinear",
        dtype=found.dtype,
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


def _quantize(graph: Graph, linear: Linear, activation: onnx_ir.Value, grid: Grid, half: bool) -> None:
    node, read = linear.node, linear.node.inputs[1]
    numbers, scale = store(graph, linear, grid=grid, half=half)
    turn = numbers.producer()
    if half and turn is not None:
        weight = _turned_afterwards(graph, linear, turn, scale, grid)
    else:
        weight = dequantized(graph, node, f"{linear.module}.weight", numbers, scale, grid, axis=1)
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


def _turned_afterwards(
    graph: Graph, linear: Linear, turn: onnx_ir.Node, scale: onnx_ir.Value, grid: Grid
) -> onnx_ir.Value:
    """A weight that `turn` transposes in 8 bits, transposed as floats: TensorRT dequantizes stored constants only."""
    (turned,) = turn.outputs
    stored = turn.inputs[0]
    assert stored is not None
    turn.replace_input_with(
        0, dequantized(graph, turn, f"{linear.module}.weight", stored, scale, grid, axis=0)
    )
    turned.dtype = onnx_ir.DataType.FLOAT
    return turned
