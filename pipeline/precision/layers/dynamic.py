"""Integer matrix products: DynamicQuantizeLinear before them, and a multiplication by the scales after them."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Insertion, drop_if_unused
from pipeline.graph.file import Graph
from pipeline.precision.layers import tables
from pipeline.precision.layers.choose import Selection
from pipeline.precision.layers.linear import Linear, replace_with_product
from pipeline.precision.numbers.grids import Grid
from pipeline.precision.weights import initializers

_FLOAT = onnx_ir.DataType.FLOAT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Activation:
    """The outputs of one DynamicQuantizeLinear."""

    numbers: onnx_ir.Value
    """The activation in unsigned 8-bit numbers."""
    scale: onnx_ir.Value
    """The step between two numbers, from the extremes of the whole batch."""
    zero_point: onnx_ir.Value
    """The number that stands for zero."""


def quantize(graph: Graph, selection: Selection, *, grid: Grid) -> None:
    """Replace each product in `selection` by one of 8-bit numbers and store each table in 8 bits, in place.

    An activation that several layers read is quantized once.
    """
    for table in selection.tables:
        tables.quantize(graph, table, grid=grid)
    activations: dict[onnx_ir.Value, _Activation] = {}
    for linear in selection.linears:
        operand = linear.operand
        if linear.activation not in activations:
            activations[linear.activation] = _quantize_activation(graph, linear)
        product = _product(graph, linear, activations[linear.activation], grid)
        replace_with_product(graph, linear, product)
        drop_if_unused(graph, operand)


def _quantize_activation(graph: Graph, linear: Linear) -> _Activation:
    activation = linear.activation
    node = onnx_ir.node(
        "DynamicQuantizeLinear",
        [activation],
        num_outputs=3,
        name=f"{linear.module}/DynamicQuantizeLinear",
    )
    dtypes = (onnx_ir.DataType.UINT8, _FLOAT, onnx_ir.DataType.UINT8)
    shapes = (activation.shape, onnx_ir.Shape([]), onnx_ir.Shape([]))
    for index, (value, dtype, shape) in enumerate(zip(node.outputs, dtypes, shapes, strict=True)):
        value.name, value.dtype, value.shape = f"{node.name}_output_{index}", dtype, shape
    graph.graph.insert_before(linear.node, node)
    numbers, scale, zero_point = node.outputs
    return _Activation(numbers=numbers, scale=scale, zero_point=zero_point)


def _product(graph: Graph, linear: Linear, activation: _Activation, grid: Grid) -> onnx_ir.Value:
    """The product as floats: MatMulInteger, Cast, and Mul by both scales, which ONNX Runtime's optimizer can fuse."""
    node, module = linear.node, linear.module
    weight, weight_scale = initializers.add_quantized(graph, linear, grid=grid)
    shape = node.outputs[0].shape

    insertion = Insertion.before(graph, node, module=module)
    scale = insertion.add("Mul", [activation.scale, weight_scale], shape=weight_scale.shape)
    sums = insertion.add(
        "MatMulInteger",
        [activation.numbers, weight, activation.zero_point],
        shape=shape,
        dtype=onnx_ir.DataType.INT32,
    )
    floats = insertion.add("Cast", [sums], shape=shape, attributes={"to": int(_FLOAT)})
    return insertion.add("Mul", [floats, scale], shape=shape)
