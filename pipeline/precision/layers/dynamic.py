"""Integer matrix products between DynamicQuantizeLinear and a scaling of the sums."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import drop_if_unused, insert, replace
from pipeline.graph.file import Graph
from pipeline.precision.layers.linear import Linear
from pipeline.precision.ranges.grids import Grid
from pipeline.precision.weights.stored import add_bias, store

_FLOAT = onnx_ir.DataType.FLOAT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """An activation in unsigned 8 bits, with the scale and the zero point that its values gave it."""

    numbers: onnx_ir.Value
    scale: onnx_ir.Value
    zero_point: onnx_ir.Value


def quantize(graph: Graph, linears: Sequence[Linear], *, grid: Grid) -> None:
    """Let each of `linears` multiply 8-bit numbers, in place; an activation that several read is quantized once."""
    activations: dict[onnx_ir.Value, _Numbers] = {}
    for linear in linears:
        activation, read = linear.activation, linear.node.inputs[1]
        if activation not in activations:
            activations[activation] = _dynamic_numbers(graph, linear)
        product = _product(graph, linear, activations[activation], grid)
        if linear.node.op_type == "Gemm":
            add_bias(graph, linear, product)
        else:
            replace(graph, linear.node, product)
        assert read is not None
        drop_if_unused(graph, read)


def _dynamic_numbers(graph: Graph, linear: Linear) -> _Numbers:
    activation = linear.activation
    node = onnx_ir.node(
        "DynamicQuantizeLinear",
        [activation],
        num_outputs=3,
        name=f"{linear.module}/DynamicQuantizeLinear",
    )
    kinds = (onnx_ir.DataType.UINT8, _FLOAT, onnx_ir.DataType.UINT8)
    shapes = (activation.shape, onnx_ir.Shape([]), onnx_ir.Shape([]))
    for index, (value, kind, shape) in enumerate(zip(node.outputs, kinds, shapes, strict=True)):
        value.name, value.dtype, value.shape = f"{node.name}_output_{index}", kind, shape
    graph.graph.insert_before(linear.node, node)
    numbers, scale, zero_point = node.outputs
    return _Numbers(numbers=numbers, scale=scale, zero_point=zero_point)


def _product(graph: Graph, linear: Linear, activation: _Numbers, grid: Grid) -> onnx_ir.Value:
    """The sums as floats: MatMulInteger, Cast, and Mul by both scales, as ONNX Runtime's optimizer knows them."""
    node, module = linear.node, linear.module
    weight, weight_scale = store(graph, linear, grid=grid)
    shape = node.outputs[0].shape

    def add(
        op_type: str,
        inputs: Sequence[onnx_ir.Value],
        shape: onnx_ir.Shape | None,
        dtype: onnx_ir.DataType = _FLOAT,
        **attributes: int,
    ) -> onnx_ir.Value:
        return insert(
            graph,
            node,
            op_type,
            inputs,
            name=f"{module}/{op_type}",
            dtype=dtype,
            shape=shape,
            attributes=attributes,
        )

    scale = add("Mul", [activation.scale, weight_scale], weight_scale.shape)
    sums = add(
        "MatMulInteger",
        [activation.numbers, weight, activation.zero_point],
        shape,
        onnx_ir.DataType.INT32,
    )
    return add("Mul", [add("Cast", [sums], shape, to=int(_FLOAT)), scale], shape)
